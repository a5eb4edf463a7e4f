//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// thousand is a sweep of as many trials as a run on a cluster can have.
const thousand = `
import metaml

rows = [{"x": i, "rate": i / 1000} for i in range(1000)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 200})
def fit(x, rate):
    return {"loss": rate}
`

// A run of a thousand trials is submitted with as many writes as a small one, and followed without any but those of its
// record, once a minute, and the end of its monitor, within a bound of memory; who looks at it is shown at most ten
// pictures a second.
func TestAThousandTrialsAreSubmittedAndFollowed(t *testing.T) {
	const (
		trials     = 1000
		mostWrites = 20         // there are eighteen, as of a run of one trial, the first of its namespace
		mostOwn    = 32_000_000 // bytes of the follower, beside its program, which all share that run it
	)
	simulated(t)
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	begin := time.Now()
	name := p.submits(thousand, "--node-selector", inside.SimulatedLabel+"="+inside.SimulatedValue,
		"--toleration", inside.SimulatedLabel+"="+inside.SimulatedValue+":NoSchedule")
	t.Logf("submitted within %s, its program read and sliced", time.Since(begin).Round(time.Millisecond))
	submitted := writesOf(t, space, inside.Researcher)
	if len(submitted) > mostWrites {
		t.Errorf("its submission wrote %d times, want at most %d: %q", len(submitted), mostWrites, submitted)
	}

	follower := followerOf(t, name)
	watcher := p.draws("attach", name)
	var memory memory
	for going := true; going; {
		select {
		case <-watcher.ended:
			going = false
		case <-time.After(100 * time.Millisecond):
			if now, ok := memoryOf(follower); ok {
				memory = now
			}
		}
	}
	t.Logf("over after %s; the follower held %d MB at most, %d MB of them its program's file",
		time.Since(begin).Round(time.Second), memory.peak/1e6, memory.file/1e6)
	if own := memory.peak - memory.file; own == 0 || own > mostOwn {
		t.Errorf("the follower held %d bytes of its own, want at most %d", own, mostOwn)
	}
	if drawn, most := watcher.drawn, 2+int(watcher.lasted.Seconds()*10); drawn < 10 || drawn > most {
		t.Errorf("%d pictures were drawn in %s, want at most %d", drawn, watcher.lasted, most)
	}

	s := p.show(name)
	if s.State != "succeeded" || len(s.Trials) != trials || s.counts("succeeded") != trials {
		t.Errorf("it %s: %d of %d trials succeeded", s.State, s.counts("succeeded"), len(s.Trials))
	}
	for i, one := range s.Trials {
		if one.Attempt != 1 || one.Parameters["x"] != float64(i) || one.Metrics["loss"] != 0.5 {
			t.Fatalf("trial %d is %+v", i, one)
		}
	}
	if log := p.must("logs", name+":999"); log != inside.SimulatedPrints+"\n" {
		t.Errorf("trial 999 printed %q", log)
	}
	saved := 0
	following := slices.DeleteFunc(writesOf(t, space, inside.Researcher)[len(submitted):], func(w string) bool {
		// What is made has no name in its request.
		if strings.HasPrefix(w, "create configmaps ") || w == "patch configmaps "+bare(name)+"-record: 200" {
			saved++
			return true
		}
		return w == fmt.Sprintf("patch jobs %s-monitor: 200", bare(name))
	})
	if most := 2 + int(time.Since(begin).Minutes()); len(following) > 0 || saved == 0 || saved > most {
		t.Errorf("following it wrote %q, and its record %d times, want at most %d", following, saved, most)
	}
}

// writesOf tells what a user wrote, or tried to, in a namespace. A review of one's own rights is in none.
func writesOf(t *testing.T, space, user string) []string {
	t.Helper()
	writes, err := here(t).Writes()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range writes {
		if w.Namespace == space && w.User == user {
			all = append(all, fmt.Sprintf("%s %s %s: %d", w.Verb, w.Resource, w.Name, w.Code))
		}
	}
	return all
}

// followerOf is the process that follows a run.
func followerOf(t *testing.T, name string) int {
	t.Helper()
	var pid int
	eventually(t, "somebody follows "+name, func(ctx context.Context) (bool, error) {
		out, err := exec.CommandContext(ctx, "pgrep", "-f", "metaml follow "+name).Output()
		if err != nil {
			return false, err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(out)))
		return err == nil, err
	})
	return pid
}

// memory is what a process holds, in bytes: the most so far; the pages of its program's file, of which the kernel
// decides how many; and now those of no file.
type memory struct{ peak, file, own int }

func memoryOf(pid int) (memory, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, false
	}
	read := func(name string) int {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":"))
		kib, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		n, _ := strconv.Atoi(string(kib)) // nothing of a process that has ended
		return n << 10
	}
	m := memory{read("VmHWM"), read("RssFile"), read("RssAnon")}
	return m, m.peak > 0
}

// watcher is a command that draws on a terminal.
type watcher struct {
	ended  chan struct{} // is closed at its end; then the others are known
	drawn  int           // pictures
	lasted time.Duration
}

// watches runs a command on a terminal of its own, which must end well.
func (p *person) draws(args ...string) *watcher {
	p.t.Helper()
	// The other end is /dev/pts/N (pty(7)).
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	other, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.CommandContext(p.t.Context(), binary(p.t), args...)
	c.Env, c.Dir = append(p.env, "TERM=xterm"), p.home
	c.Stdin, c.Stdout, c.Stderr = other, other, other
	begin := time.Now()
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	_ = other.Close()
	w := &watcher{ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		defer terminal.Close()
		var shown bytes.Buffer
		_, _ = io.Copy(&shown, terminal) // until the command has closed its end (EIO)
		w.lasted = time.Since(begin)
		w.drawn = bytes.Count(shown.Bytes(), []byte("\x1b[J")) // each clears what was below
		if err := c.Wait(); err != nil {
			p.t.Errorf("metaml %s: %v\n%s", strings.Join(args, " "), err, shown.Bytes())
		}
	}()
	return w
}
