package agent

import (
	"io"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestThePulseOfAProcess(t *testing.T) {
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
	pulseOf := func() pulse {
		t.Helper()
		p, ok := takePulse(cmd.Process.Pid, [2]*cappedLog{})
		if !ok {
			t.Fatal("the process is not seen")
		}
		return p
	}
	// It waits for input: sooner or later nothing changes any more.
	still := func() bool {
		before := pulseOf()
		<-time.After(20 * time.Millisecond)
		return pulseOf() == before
	}
	for end := time.Now().Add(10 * time.Second); !still(); {
		if time.Now().After(end) {
			t.Fatal("a process that waits has a pulse")
		}
	}
	before := pulseOf()
	if _, err := io.WriteString(in, "x\nx\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if pulseOf() == before {
		t.Error("a process that works has none")
	}
	if sleeping(cmd.Process.Pid) {
		t.Error("waiting for input is taken for a sleep")
	}
}
