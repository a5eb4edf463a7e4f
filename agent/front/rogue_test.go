package front

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// replyTo makes a frame that answers count calls from id on with JSON.
func replyTo(id uint64, count int, text string) []byte {
	item := append(binary.LittleEndian.AppendUint16(nil, 200), replyJSON, 0)
	item = binary.LittleEndian.AppendUint32(item, uint32(len(text)))
	item = appendPadding(append(item, text...), len(text))
	b := appendHeader(nil, count*len(item), frameReply, 0, count, id)
	for range count {
		b = append(b, item...)
	}
	return b
}

// TestWorkersThatDoNotKeepToTheProtocol: who waits for one gets a clear error at once, and a worker that cannot be
// trusted is given up, while another one's requests go on.
func TestWorkersThatDoNotKeepToTheProtocol(t *testing.T) {
	t.Parallel()
	part := func(id uint64) []byte {
		b := replyTo(id, 1, "{}\n")
		b[frameHeader+2] = replyPartLines
		return b
	}
	for name, test := range map[string]struct {
		hello string
		then  func(c net.Conn, id uint64)
		hung  bool // the monitor gets the notice to kill it
	}{
		"hangs up": {plainHello, func(net.Conn, uint64) {}, false},
		"half a frame": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(replyTo(id, 1, "12345678")[:20])
		}, false},
		"garbage": {plainHello, func(c net.Conn, _ uint64) {
			_, _ = c.Write([]byte(strings.Repeat("garbage!", 9)))
		}, true},
		"an unknown frame": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(appendHeader(nil, 0, 9, 0, 0, id))
		}, true},
		"an answer to nothing": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(replyTo(id+1, 1, "1"))
		}, true},
		"answers beyond the end": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(replyTo(id, 5, "1"))
		}, true},
		"an empty reply": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(appendHeader(nil, 0, frameReply, 0, 1, id))
		}, true},
		"too large a frame": {plainHello, func(c net.Conn, id uint64) {
			_, _ = c.Write(appendHeader(nil, maxFrame+8, frameReply, 0, 1, id))
		}, true},
		"a second hello": {plainHello, func(c net.Conn, _ uint64) {
			_, _ = c.Write(append(appendHeader(nil, 8, frameHello, 0, 0, 0), "{}      "...))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, defaultLimits)
			var once sync.Once
			first := true
			r.rogueRevision(run.FrontRevision{Timeout: 20 * time.Second}, rogue(t, test.hello, func(c *net.UnixConn) {
				for {
					_, count, id, _, err := readCall(c)
					if err != nil {
						return
					}
					wrong := false
					once.Do(func() { wrong = first })
					if wrong {
						test.then(c, id)
						return
					}
					if _, err := c.Write(replyTo(id, count, "true")); err != nil {
						return
					}
				}
			}))
			if got := r.post("1"); got.status != 502 || !strings.Contains(got.body, `"id"`) {
				t.Errorf("got %v", got)
			}
			if test.hung {
				r.find("the worker to be given up", func(u run.FrontUpdate) bool { return u.Hung != nil })
				return
			}
			// It may have hung up by mistake: it is dialled again.
			if got := r.post("2"); got.status != 200 || got.body != "true" {
				t.Errorf("after that: %v", got)
			}
		})
	}
	t.Run("a part that was not requested", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, defaultLimits)
		r.rogueRevision(run.FrontRevision{Timeout: 20 * time.Second}, rogue(t, plainHello, func(c *net.UnixConn) {
			if _, _, id, _, err := readCall(c); err == nil {
				_, _ = c.Write(append(part(id), part(id)...))
				_, _ = io.Copy(io.Discard, c)
			}
		}))
		if got, err := r.try("POST", "/predict", "", "1"); err == nil && got.status == 200 {
			t.Errorf("got %v", got)
		}
		r.find("the worker to be given up", func(u run.FrontUpdate) bool { return u.Hung != nil })
	})
	for name, hello := range map[string]string{
		"a hello that is no JSON": "hello", "a hello of another version": `{"v":2}`,
		"a hello with a negative batch": `{"v":1,"batch":-1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, defaultLimits)
			r.rogueRevision(run.FrontRevision{Timeout: 300 * time.Millisecond}, rogue(t, hello, func(c *net.UnixConn) {
				_, _ = io.Copy(io.Discard, c)
			}))
			r.find("the worker to be given up", func(u run.FrontUpdate) bool { return u.Hung != nil })
			if got := r.post("1"); got.status != 503 {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestAWorkerThatDoesNotRead: nobody else waits for it, whatever it is sent.
func TestAWorkerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.patience = 500 * time.Millisecond
	r := newRig(t, l)
	deaf := rogue(t, strings.Replace(plainHello, `"concurrent":1`, `"concurrent":64`, 1), func(c *net.UnixConn) {
		<-t.Context().Done()
	})
	r.rogueRevision(run.FrontRevision{Timeout: 500 * time.Millisecond}, deaf)
	r.find("the connection", func(u run.FrontUpdate) bool { return u.Connected != nil })
	var wait sync.WaitGroup
	for _, size := range []int{10, 100_000, 1_000_000, 10, 100_000} {
		wait.Go(func() {
			if got := r.post(`"` + strings.Repeat("x", size) + `"`); got.status != 504 && got.status != 502 {
				t.Errorf("%d bytes: got %v", size, got)
			}
		})
	}
	wait.Wait()
	r.find("the worker to be given up", func(u run.FrontUpdate) bool { return u.Hung != nil })
}

// TestNothingIsLeft is not parallel: while it runs, no other test has a front.
func TestNothingIsLeft(t *testing.T) {
	t.Run("", func(t *testing.T) {
		r := newRig(t, defaultLimits)
		r.serve(1, "parts", run.FrontRevision{Timeout: 20 * time.Second, Workers: 2})
		c := r.dial() // idle, and never used
		stream := r.dial()
		_, _ = io.WriteString(stream,
			"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n{\"count\": 100000000, \"size\": 10000}")
		if _, err := io.ReadFull(stream, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		r.post(`{"count": 3}`)
		check(t, r.Stop(100*time.Millisecond))
		r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
		_, _ = c.Close(), stream.Close()
	})
	waitFor(t, "the front's goroutines to end", func() bool {
		buf := make([]byte, 1<<20)
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(stack, "agent/front.(*") && !strings.Contains(stack, "testing.tRunner") {
				return false
			}
		}
		return true
	})
}

// exhausted is a listener as it is while the process has too many files open.
type exhausted struct {
	net.Listener
	left int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.left--; e.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.Listener.Accept()
}

func TestTooManyOpenFilesEndNoListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	f := newFront(nil, io.Discard, defaultLimits)
	idle, theirs := pair(t)
	f.crowd.admit(idle.(*client))
	p := retryingListener{&exhausted{l, 3}, f}
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	defer c.Close()
	accepted, err := p.Accept()
	check(t, err)
	_ = accepted.Close()
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // as it is
		t.Errorf("a connection that is idle has not made room: %v", err)
	}
	_ = l.Close()
	if _, err := p.Accept(); err != io.EOF { //nolint:errorlint // what fasthttp compares with
		t.Errorf("closed: %v", err)
	}
}
