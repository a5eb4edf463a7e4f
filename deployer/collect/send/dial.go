package send

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// dialTime is how long a connection may take to be there.
const dialTime = 5 * time.Second

// dial connects by TCP. Package net would do it, and make the program that each pod unpacks 110 kB larger, for names
// that nobody needs to look up here; the waiting and the deadlines are those of [os.File], which has a socket like any
// other descriptor.
func dial(ctx context.Context, to netip.AddrPort) (*os.File, error) {
	conn, err := startToConnect(to)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	err = conn.SetDeadline(time.Now().Add(dialTime))
	if err == nil {
		err = within(ctx, conn, func() error { return connected(conn) })
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return conn, nil
}

// startToConnect makes a socket that is not waited for.
func startToConnect(to netip.AddrPort) (*os.File, error) {
	address := to.Addr().Unmap()
	var peer syscall.Sockaddr = &syscall.SockaddrInet6{Addr: address.As16(), Port: int(to.Port())}
	family := syscall.AF_INET6
	if address.Is4() {
		family, peer = syscall.AF_INET, &syscall.SockaddrInet4{Addr: address.As4(), Port: int(to.Port())}
	}
	syscall.ForkLock.RLock() // no process that starts meanwhile gets it
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	err = syscall.SetNonblock(fd, true)
	if err == nil {
		// A batch is written whole: nothing is gained by waiting for more.
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil {
		err = syscall.Connect(fd, peer)
	}
	if err != nil && err != syscall.EINPROGRESS && err != syscall.EINTR {
		_ = syscall.Close(fd) // nothing was written
		return nil, err
	}
	return os.NewFile(uintptr(fd), to.String()), nil
}

// connected waits until a socket is connected, or says why it is not.
func connected(conn *os.File) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	waited := raw.Write(func(fd uintptr) (done bool) {
		code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		switch {
		case err != nil:
			failed = err
			return true
		case code != 0:
			failed = syscall.Errno(code)
			return true
		}
		_, err = syscall.Getpeername(int(fd))
		return err == nil // else it is not yet there
	})
	if failed != nil {
		return failed
	}
	return waited
}

// within does something with a connection, which fails once ctx is done.
func within(ctx context.Context, conn *os.File, do func() error) error {
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // a connection that is closed needs none
	})
	defer stop()
	err := do()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
