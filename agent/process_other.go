//go:build !linux

package agent

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/internal/process"
)

func becomeSubreaper() error { return nil }

func childAttributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func eventsPair() (ours, theirs *os.File, err error) {
	fds, err := frame.Descriptors()
	if err != nil {
		return nil, nil, fmt.Errorf("make a channel for a trial: %w", err)
	}
	_ = unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), "events"), os.NewFile(uintptr(fds[1]), "events"), nil
}

// proc is a line of the process table, which is not read here.
type proc struct {
	pid, session int
	ticks        int64
	zombie       bool
}

func table(int) []proc { return nil }

func readProc(int) (proc, bool) { return proc{}, false }

// clear kills the process group of an attempt, which is all that can be found here.
func (p *Processes) clear(session int, _ int64, _ string, _ bool) {
	for wait := time.Millisecond; process.SignalGroup(session, syscall.SIGKILL) == nil && wait < 50*time.Millisecond; {
		wait = pause(wait)
	}
}

// writtenByOthers cannot be known here.
func writtenByOthers(string, string) bool { return false }

func (p *Processes) sweep(context.Context, string) error { return nil }

func (p *Processes) orphans() {}
