package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("another process holds the lock")

// LockMonitor takes the lock that makes this process the run's monitor, for as long as it lives or until Close. It is a
// POSIX record lock: children do not inherit it, and others can ask for it without taking it ([Run.Monitored]). The
// process must open the file nowhere else, since closing any descriptor of it would give the lock up.
func (r Run) LockMonitor() (io.Closer, error) {
	f, err := OpenOwn(r.MonitorLock(), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("lock the run: %w", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock the run: %w", err)
	}
	return f, nil
}

// Monitored reports whether a monitor of the run is alive.
func (r Run) Monitored() bool {
	f, err := os.Open(r.MonitorLock())
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
	return err == nil && lock.Type != unix.F_UNLCK
}

// AttemptHeld reports whether a process of the attempt still holds its lock.
func (r Run) AttemptHeld(trial, attempt int) bool {
	f, err := os.Open(filepath.Join(r.Attempt(trial, attempt), "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// LockFile takes an exclusive lock on the file at path, which is made if it is missing, and waits for it until ctx
// ends. It is held until the file is closed.
func LockFile(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		_ = f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %q: %w", path, context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
}
