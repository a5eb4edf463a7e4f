package front

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// listener is a socket that is kept for another monitor.
type listener struct {
	file    *os.File
	serving net.Listener // nil until connections are to be taken
}

// hangUp takes no more connections.
func (l *listener) hangUp() {
	if l.serving != nil {
		_ = l.serving.Close()
	}
}

func (l *listener) close() {
	l.hangUp()
	_ = l.file.Close()
}

// keep keeps a socket for another monitor, until an order to listen there brings it once more.
func (f *front) keep(file *os.File) {
	l, err := net.FileListener(file)
	if err != nil {
		_ = file.Close()
		f.log(logLine{Error: fmt.Sprintf("keep a listening socket: %v", err)})
		return
	}
	defer l.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[l.Addr().String()] = &listener{file: file}
}

func (f *front) listen(address string, file *os.File) {
	if file == nil {
		f.log(logLine{Error: "the monitor sent no socket for " + address})
		return
	}
	f.unlisten(address)
	l, err := net.FileListener(file)
	if err != nil {
		_ = file.Close()
		f.log(logLine{Error: fmt.Sprintf("listen on %s: %v", address, err)})
		return
	}
	f.mu.Lock()
	f.listeners[address] = &listener{file, l}
	f.mu.Unlock()
	f.tasks.Go(func() { _ = f.server.Serve(retryingListener{l, f}) })
}

// retryingListener is a listener that goes on when there are too many open files, or a client was quicker in leaving:
// fasthttp would stop.
type retryingListener struct {
	net.Listener
	front *front
}

// Accept returns io.EOF when the listener is closed.
func (r retryingListener) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; {
		c, err := r.Listener.Accept()
		if err == nil {
			if c = r.front.welcome(c); c == nil {
				continue
			}
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, io.EOF
		}
		r.front.crowd.makeRoom() // for want of descriptors, most likely
		select {
		case <-r.front.ended:
			return nil, io.EOF
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

// full is the answer where everybody waits for one.
var full = func() []byte {
	body := `{"error":"too many connections are open; try again"}`
	return fmt.Appendf(nil,
		"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: %s\r\n%s: %s\r\nRetry-After: "+
			"1\r\nContent-Length: %d\r\n\r\n%s",
		typeJSON, nosniff, nosniffValue, len(body), body)
}()

// welcome counts a connection, or ends it where there are too many: nil.
func (f *front) welcome(c net.Conn) net.Conn {
	made := newClient(c, f.limits.body)
	if mine, ok := made.(*client); ok && !f.crowd.admit(mine) {
		_, _ = mine.socket.writeNow(full)
		_ = mine.Close()
		return nil
	}
	return made
}

func (f *front) unlisten(address string) {
	f.mu.Lock()
	l := f.listeners[address]
	delete(f.listeners, address)
	f.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// release closes the listeners' descriptors.
func (f *front) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for address, l := range f.listeners {
		l.close()
		delete(f.listeners, address)
	}
}
