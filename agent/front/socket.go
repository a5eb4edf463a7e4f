package front

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A write to a client wakes it, and it may run at once, on the same processor, before the write returns. To Go such a
// system call is slow: its monitor thread takes the right to run goroutines from the thread that waits and gives it to
// another, and does not get to rest. With the one processor that the front has for itself (see Main) that cost 3,200
// wake-ups a second, and two threads that took turns. So the front's sockets are read and written by system calls that
// the scheduler does not know of, which is right because none of them waits: the descriptors do not block, and what is
// moved at once is bounded. On two cores, 64 connections had 39 % more answers a second one by one, and 17 % more in
// batches.

// atOnce is the most bytes that one such call moves.
const atOnce = 64 << 10

// socket reads and writes a connection. There may be one reader and one writer at a time.
type socket struct {
	raw     syscall.RawConn
	in, out transfer
	once    func(fd uintptr) (done bool) // tries out, and does not wait
}

// transfer is a read or a write that is going on. try is made once, so that none allocates.
type transfer struct {
	p   []byte
	n   int
	err error
	try func(fd uintptr) (done bool)
}

func newSocket(c syscall.Conn) (*socket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{raw: raw}
	s.in.try = s.in.with(read)
	s.out.try = s.out.with(write)
	s.once = func(fd uintptr) bool {
		s.out.try(fd)
		return true
	}
	return s, nil
}

// with makes the function that tries a system call.
func (t *transfer) with(call func(fd uintptr, p []byte) (int, error)) func(uintptr) bool {
	return func(fd uintptr) bool {
		for {
			t.n, t.err = call(fd, t.p)
			if !errors.Is(t.err, unix.EINTR) {
				return !errors.Is(t.err, unix.EAGAIN)
			}
		}
	}
}

// Read is as io.Reader has it; it waits until there is something, or the connection's deadline.
func (s *socket) Read(p []byte) (int, error) {
	t := &s.in
	t.p = p[:min(len(p), atOnce)]
	err := s.raw.Read(t.try)
	t.p = nil
	switch {
	case err != nil:
		return 0, err
	case t.err != nil:
		return 0, os.NewSyscallError("read", t.err)
	case t.n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return t.n, nil
}

// Write is as io.Writer has it; it waits until everything is written, or for the connection's deadline.
func (s *socket) Write(p []byte) (int, error) { return s.write(p, s.out.try) }

// writeNow writes what the socket takes without waiting.
func (s *socket) writeNow(p []byte) (int, error) { return s.write(p, s.once) }

func (s *socket) write(p []byte, try func(fd uintptr) (done bool)) (int, error) {
	t, done := &s.out, 0
	for done < len(p) {
		t.p = p[done:min(len(p), done+atOnce)]
		err := s.raw.Write(try)
		t.p = nil
		switch {
		case err != nil:
			return done, err
		case errors.Is(t.err, unix.EAGAIN): // it was tried once
			return done, nil
		case t.err != nil:
			return done, os.NewSyscallError("write", t.err)
		}
		done += t.n
	}
	return done, nil
}
