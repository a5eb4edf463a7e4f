package process_test

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"github.com/metaml/metaml/internal/process"
)

func TestNumbersThatMeanManyAreRefused(t *testing.T) {
	for _, pid := range []int{-7, -1, 0, 1} {
		if process.Signal(pid, 0) == nil || process.SignalGroup(pid, 0) == nil {
			t.Errorf("%d was taken for one process or group", pid)
		}
	}
}

func TestASignalArrives(t *testing.T) {
	for name, send := range map[string]func(int, syscall.Signal) error{
		"a process": process.Signal, "a group": process.SignalGroup,
	} {
		t.Run(name, func(t *testing.T) {
			sleeper := exec.CommandContext(t.Context(), "sleep", "600")
			sleeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			if err := send(sleeper.Process.Pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = sleeper.Wait()
			if end, ok := sleeper.ProcessState.Sys().(syscall.WaitStatus); !ok || end.Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v", sleeper.ProcessState)
			}
			if err := send(sleeper.Process.Pid, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("a signal to one that has ended: %v", err)
			}
		})
	}
}
