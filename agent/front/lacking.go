package front

import (
	"errors"
	"syscall"
)

// keptFiles are the descriptors that are not for clients: workers, listeners, the monitor, logs.
const keptFiles = 256

// connsWithin is how many of conns connections there may be for the descriptors that this process may have: without one
// left it could not dial a worker that was started again.
func connsWithin(conns int) int {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return conns
	}
	most := int(min(files.Cur, 1<<30))
	return min(conns, max(most-keptFiles, most/2))
}

// lacking reports whether an error says that the machine lacks something which it may have again soon.
func lacking(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
