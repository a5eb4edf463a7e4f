package agent

import (
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestTheActivityOfAProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no process table to read")
	}
	cmd := exec.Command("sh", "-c",
		"read line; while read line; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; done")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	now := func() activity {
		t.Helper()
		p, ok := activityOf(cmd.Process.Pid, [2]*cappedLog{})
		if !ok {
			t.Fatal("the process is not seen")
		}
		return p
	}
	// It waits for input: sooner or later nothing changes any more.
	still := func() bool {
		before := now()
		<-time.After(20 * time.Millisecond)
		return now() == before
	}
	for end := time.Now().Add(10 * time.Second); !still(); {
		if time.Now().After(end) {
			t.Fatal("a process that waits is taken for one that works")
		}
	}
	before := now()
	if _, err := io.WriteString(in, "x\nx\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if now() == before {
		t.Error("a process that works is taken for one that waits")
	}
	if sleeping(cmd.Process.Pid) {
		t.Error("waiting for input is taken for a sleep")
	}
}

// A note names a fork that waits for a lock that is never released, and not one that sleeps.
func TestAForkThatMayHangIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
import threading, time
lock = threading.Lock()
lock.acquire()

def train(i):
    time.sleep(600) if i == 0 else lock.acquire()
`, func(o *Options) {
		o.Spec.Completions, o.Spec.Parallelism = 2, 2
		o.HangAfter = time.Second
		o.Table = []run.Row{{{Name: "i", Value: []byte("0")}}, {{Name: "i", Value: []byte("1")}}}
	})
	for trial := range 2 {
		b.Start(run.Attempt{AttemptID: run.AttemptID{Trial: trial, Number: 1}, Slot: trial})
	}
	u := b.next(func(u run.Update) bool { return u.Note != nil && u.Note.Code == "may-hang" })
	if u.ID.Trial != 1 || !strings.Contains(u.Note.Hint, "--fresh-process") {
		t.Errorf("trial %d: %+v", u.ID.Trial, u.Note)
	}
}
