package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// NewWatch watches paths until Close. Paths that do not exist are left out: watch their folder.
func NewWatch(paths ...string) *Watch {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return poll() // a user has 128 of them by default
	}
	file := os.NewFile(uintptr(fd), "inotify")
	for _, p := range paths {
		_, err := unix.InotifyAddWatch(fd, p,
			unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF)
		if err != nil && err != unix.ENOENT {
			_ = file.Close()
			return poll()
		}
	}
	w := &Watch{C: make(chan struct{}, 1), close: func() { _ = file.Close() }}
	w.done.Go(func() {
		buf := make([]byte, 4096)
		for {
			if _, err := file.Read(buf); err != nil {
				return
			}
			w.wake()
		}
	})
	return w
}
