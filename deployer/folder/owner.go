package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// What the one process that owns a run does with its folder, whatever kind of run it is.

// LockMonitorWithin takes the monitor's lock, and waits for it at most that long: whoever resumes a run that has just
// ended waits until the monitor that ended it is gone.
func (r Run) LockMonitorWithin(ctx context.Context, patience time.Duration) (io.Closer, error) {
	for end := time.Now().Add(patience); ; {
		lock, err := r.LockMonitor()
		if !errors.Is(err, ErrLocked) || !time.Now().Before(end) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Rebooted reports whether the machine was started again since the run's last monitor.
func (r Run) Rebooted() bool {
	before := r.ReadMonitor()
	return before.BootID != "" && before.BootID != BootID()
}

// WriteMonitor says in monitor.json that this process is the run's monitor. On a full disk it takes the reserve for
// that.
func (r Run) WriteMonitor() error {
	return r.withReserve(func() error {
		return ReplaceJSON(r.MonitorFile(), Monitor{
			PID: os.Getpid(), StartTime: StartTime(os.Getpid()), BootID: BootID(),
		})
	})
}

// OpenEvents opens events.jsonl for [OpenLog].
func (r Run) OpenEvents() (*os.File, error) {
	file, err := OpenOwn(r.Events(), os.O_RDWR|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open the event file: %w", err)
	}
	return file, nil
}

// ForgetStops removes the stop requests: what was requested of a run before it is resumed does not count.
func (r Run) ForgetStops() error {
	if err := os.Remove(r.StopFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

// WatchStops watches the stop file, which is there afterwards, and other paths.
func (r Run) WatchStops(also ...string) (*Watch, error) {
	f, err := OpenOwn(r.StopFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("make the file for stop requests: %w", err)
	}
	_ = f.Close()
	return NewWatch(append(also, r.StopFile())...), nil
}

// Gone reports whether the run's folder was deleted.
func (r Run) Gone() bool {
	_, err := os.Lstat(r.Spec())
	return errors.Is(err, fs.ErrNotExist)
}

// KeepReserve keeps some space, so that on a full disk there is room for the events that say so.
func (r Run) KeepReserve() {
	const size = 256 << 10
	if info, err := os.Stat(r.Reserve()); err == nil && info.Size() == size {
		return
	}
	_ = os.WriteFile(r.Reserve(), make([]byte, size), 0o600)
}

// withReserve writes something small that must not fail because the disk is full: then the reserve makes room for it.
func (r Run) withReserve(write func() error) error {
	err := write()
	if !NoSpace(err) || os.Remove(r.Reserve()) != nil {
		return err
	}
	return write()
}

// NoSpace reports whether an error says that the disk, or somebody's share of it, is full.
func NoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// Syncer brings events to the disk beside their writer's work: many are on their way at once, and one fsync does for
// all.
type Syncer struct {
	c    chan struct{}
	done chan struct{}
}

// syncEvery is between two fsyncs: thousands of short trials need not have one each.
const syncEvery = 20 * time.Millisecond

// NewSyncer starts it. Its owner calls Close.
func NewSyncer(log *Log) *Syncer {
	s := &Syncer{c: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for range s.c {
			_ = log.Sync() // the last one, by the owner, reports what is wrong
			<-time.After(syncEvery)
		}
	}()
	return s
}

// Wake requests an fsync of what was written so far.
func (s *Syncer) Wake() {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// Close waits for the fsync that is under way.
func (s *Syncer) Close() {
	close(s.c)
	<-s.done
}

// Tail gives the last lines of a file, at most size bytes of it, without a part of a line at the front. What cannot be
// read is "".
func Tail(path string, lines int, size int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(info.Size()-size, 0)
	data := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(data, from)
	return lastLines(data[:n], lines, from > 0)
}

// lastLines gives the last lines of text. torn says that it may begin in the middle of one.
func lastLines(text []byte, lines int, torn bool) string {
	text = bytes.TrimRight(text, " \t\r\n")
	if first := bytes.IndexByte(text, '\n'); torn && first >= 0 {
		text = text[first+1:]
	}
	at := len(text)
	for range lines {
		if at = bytes.LastIndexByte(text[:at], '\n'); at < 0 {
			return string(text)
		}
	}
	return string(text[at+1:])
}
