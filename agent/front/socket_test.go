package front

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// pair is a connection as an HTTP client's, and the other end.
func pair(t *testing.T) (ours net.Conn, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	accepted, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { _, _ = dialled.Close(), accepted.Close() })
	return newClient(accepted, 1<<20), dialled.(*net.TCPConn)
}

func TestSocketMovesMoreThanTheKernelTakesAtOnce(t *testing.T) {
	ours, theirs := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	go func() {
		_, err := ours.Write(sent)
		if err != nil {
			t.Error(err)
		}
		_ = ours.(*client).CloseWrite()
	}()
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes came, %v", len(got), len(sent), err)
	}
	go func() {
		_, _ = theirs.Write(sent)
		_ = theirs.CloseWrite()
	}()
	if got, err = io.ReadAll(ours); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes came back, %v", len(got), len(sent), err)
	}
}

func TestSocketKeepsDeadlinesAndSaysWhenItEnds(t *testing.T) {
	ours, _ := pair(t)
	check(t, ours.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	var timeout net.Error
	if _, err := ours.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() ||
		!errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read over its deadline: %v", err)
	}
	check(t, ours.SetDeadline(time.Now().Add(50*time.Millisecond)))
	if n, err := ours.Write(make([]byte, 64<<20)); !errors.As(err, &timeout) || !timeout.Timeout() || n == 0 {
		t.Errorf("a write that nobody reads: %d bytes, %v", n, err)
	}
	check(t, ours.SetDeadline(time.Time{}))
	time.AfterFunc(10*time.Millisecond, func() { _ = ours.Close() })
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read that waited when the connection was closed: %v", err)
	}
	if _, err := ours.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}

	ours, theirs := pair(t)
	_ = theirs.Close()
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a read when the other end was closed: %v", err)
	}
}

func TestIdleWorkersShareWhatWaits(t *testing.T) {
	r := newRevision(&front{}, run.FrontRevision{Workers: 3, Batch: 8})
	for i := range r.workers {
		r.workers[i] = &worker{revision: r, hello: &hello{Batch: 8, Concurrent: 1}}
	}
	for range 10 {
		r.waiting.push(&call{})
	}
	room := func() (all [3]int) {
		for i, w := range r.workers {
			all[i] = r.room(w)
		}
		return all
	}
	if got := room(); got != [3]int{4, 4, 4} {
		t.Errorf("with 10 calls for three idle workers each has room for %v", got)
	}
	r.workers[0].busy = 1
	if got := room(); got != [3]int{0, 5, 5} {
		t.Errorf("for two of them %v", got)
	}
	r.workers[1].busy = 1
	if got := room(); got != [3]int{0, 0, 8} {
		t.Errorf("for one %v", got)
	}
}
