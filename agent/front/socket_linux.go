package front

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func read(fd uintptr, p []byte) (int, error)  { return move(unix.SYS_READ, fd, p) }
func write(fd uintptr, p []byte) (int, error) { return move(unix.SYS_WRITE, fd, p) }

// move makes a system call that must not block: the scheduler thinks that the goroutine computes.
func move(call, fd uintptr, p []byte) (int, error) {
	//nolint:gosec // as unsafe.Pointer allows it in a call
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
