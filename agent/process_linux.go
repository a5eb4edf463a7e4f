package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes orphans among our descendants our children.
func becomeSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

func childAttributes(diesWithUs bool) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if diesWithUs {
		attributes.Pdeathsig = syscall.SIGKILL
	}
	return attributes
}

// eventsPair makes the channel on which a trial sends its events: ours and the trial's end. Each write is one packet,
// so that the lines of a trial's forked children do not mix.
func eventsPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a channel for a trial: %w", err)
	}
	_ = unix.SetNonblock(fds[0], true)
	_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, maxLine)
	return os.NewFile(uintptr(fds[0]), "events"), os.NewFile(uintptr(fds[1]), "events"), nil
}

// proc is a line of the process table.
type proc struct {
	pid, parent, session int
	start                int64
	zombie               bool
	ticks                int64 // processor time used, in clock ticks
}

// table lists the processes whose pid is at least from.
func table(from int) []proc {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var all []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid < from {
			continue
		}
		if p, ok := readProc(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

func readProc(pid int) (proc, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, false
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return proc{}, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
		return n
	}
	return proc{
		pid: pid, parent: int(number(1)), session: int(number(3)), start: number(19),
		zombie: fields[0][0] == 'Z' || fields[0][0] == 'X', ticks: number(11) + number(12) + number(13) + number(14),
	}, true
}

func environOf(pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	return strings.Split(string(data), "\x00")
}

// lastPID is the pid that was given out last.
func lastPID() int {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	pid, _ := strconv.Atoi(fields[len(fields)-1])
	return pid
}

// clear kills what an attempt left behind and returns when it is gone: everything in its session, and every orphan with
// its token. The attempt's main process has been reaped. short says that it ran so briefly that pids cannot have come
// round.
func (p *Processes) clear(session int, since int64, token string, short bool) {
	if p.noOrphans() {
		return
	}
	from := 0
	if short && lastPID() >= session {
		from = session // what a process starts has a higher pid, which makes the common case cheap
	}
	patience := time.Now().Add(time.Second)
	for wait := time.Millisecond; ; wait = pause(wait) {
		left := 0
		for _, q := range table(from) {
			if q.zombie || q.pid == os.Getpid() || p.ours(q.pid) {
				continue
			}
			inSession := q.session == session && q.start >= since
			if !inSession && (q.parent != os.Getpid() || tokenOf(environOf(q.pid)) != token) {
				continue
			}
			left++
			if time.Now().Before(patience) && isTracker(q.pid) {
				continue // it ends by itself, after it has removed what the trial left in /dev/shm
			}
			kill(q.pid, q.start, syscall.SIGKILL)
		}
		if left == 0 {
			return
		}
	}
}

// noOrphans reports whether every child of ours is one that we started. Then an attempt whose main process was reaped
// has left nothing: what it left would have become our child before its parent could be reaped, or the descendant of
// one that has. To ask that takes a hundredth of the time that reading the process table does; false may also mean that
// the system does not say.
func (p *Processes) noOrphans() bool {
	p.reaping.Lock() // only reaping takes children off the list, so it is whole
	defer p.reaping.Unlock()
	// Orphans go to the first living thread, and Go never ends the main one.
	me := strconv.Itoa(os.Getpid())
	data, err := os.ReadFile("/proc/" + me + "/task/" + me + "/children")
	if err != nil {
		return false // a kernel without CONFIG_PROC_CHILDREN
	}
	for field := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(field); err != nil || !p.ours(pid) {
			return false
		}
	}
	return true
}

// isTracker recognises the resource trackers of multiprocessing and loky.
func isTracker(pid int) bool {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return bytes.Contains(data, []byte("resource_tracker"))
}

// sweep kills every process of this user whose token begins with run, and returns when none is left.
func (p *Processes) sweep(ctx context.Context, run string) error {
	for wait := time.Millisecond; ; wait = pause(wait) {
		left := 0
		for _, q := range table(0) {
			if q.zombie || q.pid == os.Getpid() || p.ours(q.pid) || !strings.HasPrefix(tokenOf(environOf(q.pid)), run) {
				continue
			}
			left++
			kill(q.pid, q.start, syscall.SIGKILL)
		}
		if left == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// orphans kills what was left to us by processes that took care to be recognised by nothing, at the very end.
func (p *Processes) orphans() {
	for wait := time.Millisecond; ; wait = pause(wait) {
		left := 0
		for _, q := range table(0) {
			if !q.zombie && q.parent == os.Getpid() && !p.ours(q.pid) {
				left++
				kill(q.pid, q.start, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return
		}
	}
}

// writtenByOthers reports whether a process that does not belong to the run, whose tokens begin so, has the file open
// for writing.
func writtenByOthers(path, run string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // as the system names what a process has open
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != path {
			continue
		}
		process, number := filepath.Dir(filepath.Dir(link)), filepath.Base(link)
		info, err := os.ReadFile(filepath.Join(process, "fdinfo", number))
		if err != nil || !forWriting(info) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(process))
		if !strings.HasPrefix(tokenOf(environOf(pid)), run) {
			return true
		}
	}
	return false
}

// forWriting reads what /proc/PID/fdinfo/FD says of how a file was opened.
func forWriting(info []byte) bool {
	for line := range strings.Lines(string(info)) {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			mode, err := strconv.ParseInt(strings.TrimSpace(flags), 8, 64)
			return err == nil && mode&unix.O_ACCMODE != unix.O_RDONLY
		}
	}
	return false
}
