package agent

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// What an attempt holds of our descriptors: while it is started two logs, both ends of its events, two of a connection
// to Python, a third of its making, and /dev/null; afterwards our end of its events.
const (
	startingDescriptors = 8
	runningDescriptors  = 1
)

// descriptors share out what the system lets us open, so that an attempt waits for its turn instead of failing. Some
// are kept back for what the monitor itself opens for a moment: logs, stop requests, the process table.
//
// Go raises the soft limit to the hard one when it starts, and gives the processes that we start the limit that we got.
type descriptors struct {
	mu      sync.Mutex
	limit   int // of the process
	free    int
	waiting []*turn // first come, first served
}

type turn struct {
	need int
	come chan struct{}
}

// newDescriptors counts what is there.
func newDescriptors() *descriptors {
	const plenty = 1 << 20
	d := &descriptors{limit: plenty}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil && r.Cur < plenty {
		d.limit = int(r.Cur)
	}
	open := 32
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(entries)
	}
	d.free = max(d.limit-open-min(256, d.limit/4), startingDescriptors)
	return d
}

// take waits for n descriptors; it reports false if cancel is closed first. wait is called once if there are not
// enough.
func (d *descriptors) take(n int, cancel <-chan struct{}, wait func()) bool {
	d.mu.Lock()
	if len(d.waiting) == 0 && d.free >= n {
		d.free -= n
		d.mu.Unlock()
		return true
	}
	t := &turn{n, make(chan struct{})}
	d.waiting = append(d.waiting, t)
	d.mu.Unlock()
	wait()
	select {
	case <-t.come:
		return true
	case <-cancel:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, other := range d.waiting {
		if other == t {
			d.waiting = append(d.waiting[:i], d.waiting[i+1:]...)
			d.next()
			return false
		}
	}
	d.free += n // it had come at the same moment
	d.next()
	return false
}

// give gives n back.
func (d *descriptors) give(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free += n
	d.next()
}

func (d *descriptors) next() {
	for len(d.waiting) > 0 && d.waiting[0].need <= d.free {
		d.free -= d.waiting[0].need
		close(d.waiting[0].come)
		d.waiting = d.waiting[1:]
	}
}

// scarce reports whether an error says that the machine has too little of something at the moment: descriptors, also
// those under way to a loader, processes, memory. That is no reason to fail: other attempts end.
func scarce(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM, syscall.ENOBUFS,
		syscall.ETOOMANYREFS,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// longestWait is between two attempts to start something that the machine has too little for.
const longestWait = time.Second

// await waits until scarce things may be there again; it reports false if the attempt is to end.
func (a *attempt) await(wait *time.Duration, err error) bool {
	a.sup.note(run.AttemptID{}, run.Note{
		Code: run.NoteScarce, Text: fmt.Sprintf("some %ss wait, since the machine cannot start more at the moment: %v",
			a.sup.what(), err),
		Hint: "Run fewer at a time, or raise its limits (ulimit -n, ulimit -u).",
	})
	*wait = min(max(2**wait, 5*time.Millisecond), longestWait)
	select {
	case <-time.After(*wait):
		return true
	case <-a.cancel:
		return false
	}
}

// crowded notes once that fewer attempts run at a time than were requested.
func (a *attempt) crowded() {
	a.sup.crowd.Do(func() {
		a.sup.note(run.AttemptID{}, run.Note{
			Code: run.NoteDescriptors,
			Text: fmt.Sprintf("fewer %ss run at a time than requested, since this process may open %d files: the "+
				"others wait", a.sup.what(), a.sup.descriptors.limit),
			Hint: "`ulimit -Hn` says how many a process may open at most.",
		})
	})
}
