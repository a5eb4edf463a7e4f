package front

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// answer writes what came of a call, and gives the call back when it is of no more use.
func (f *front) answer(ctx *fasthttp.RequestCtx, r *revision, c *call) {
	if !c.sent.IsZero() {
		f.metrics.wait.Update(c.sent.Sub(c.arrived).Seconds())
	}
	if c.failure != nil {
		p := f.problemOf(r, c.failure)
		f.metrics.answered(p.status)
		f.refuse(ctx, c.arrived, p)
		f.metrics.latency.UpdateDuration(c.arrived)
		c.release()
		return
	}
	a := &c.answer
	given, err := readHead(a.head)
	if isPart(a.kind) {
		if err != nil {
			c.worker.quit(c)
			p := wrongHead(r, err)
			f.metrics.answered(p.status)
			f.refuse(ctx, c.arrived, p)
			c.release()
			return
		}
		f.metrics.answered(a.status)
		f.stream(ctx, r, c, given)
		return
	}
	contentType, body, failure := f.render(r, c)
	if err != nil {
		failure = wrongHead(r, err)
	}
	if failure != nil {
		p := f.problemOf(r, failure)
		f.metrics.answered(p.status)
		f.refuse(ctx, c.arrived, p)
	} else {
		f.metrics.answered(a.status)
		ctx.SetStatusCode(a.status)
		if a.status == fasthttp.StatusNoContent || a.status == fasthttp.StatusNotModified {
			contentType = "" // there is none of it
		}
		ctx.Response.Header.SetContentType(firstOf(given.Type, contentType))
		given.write(ctx)
		if a.status >= 500 {
			id, text := errorOf(body)
			f.logRequest(ctx, c.arrived, a.status, id, text)
		}
		switch {
		case cap(body) > keptBuffer:
			_ = ctx.SetWriteDeadline(time.Now().Add(writeSlowly + time.Duration(len(body)>>16)*time.Second))
			ctx.Response.SetBodyRaw(body) // c lets go of it
		case a.kind == replyArray:
			c.out = ctx.Response.SwapBody(body)
		default:
			a.data = ctx.Response.SwapBody(body)
		}
	}
	f.metrics.latency.UpdateDuration(c.arrived)
	c.release()
}

// render makes the body of a response of an answer that is no stream.
func (f *front) render(r *revision, c *call) (contentType string, body []byte, err error) {
	a := &c.answer
	switch a.kind {
	case replyText:
		return typeText, a.data, nil
	case replyBytes:
		return typeOfBytes(a.data), a.data, nil
	case replyEnd: // a stream without parts
		return typeBytes, a.data, nil
	case replyArray:
		out, at := a.dtype.Append(c.out[:0], a.shape, a.data)
		c.out = out
		if at < 0 {
			return typeJSON, out, nil
		}
		name := r.hello.Load().Function
		return "", nil, &problem{
			status: 500, text: name + " failed; the log has the reason under this id",
			log: fmt.Sprintf("%s returned a number at %s that JSON does not have (nan or infinity)", name,
				place(a.shape, at)),
		}
	}
	return typeJSON, a.data, nil
}

// place names an element of an array, as Python would.
func place(shape []uint32, at int) string {
	var s string
	for _, n := range slices.Backward(shape) {
		s = fmt.Sprintf("[%d]%s", at%int(n), s)
		at /= int(n)
	}
	if s == "" {
		return "the result"
	}
	return s
}

// errorOf reads what a worker's error says, for the log.
func errorOf(body []byte) (id, text string) {
	var e struct {
		Error string `json:"error"`
		ID    string `json:"id"`
	}
	_ = json.Unmarshal(body, &e)
	return e.ID, e.Error
}

// stream answers with the parts of a stream, each when the client has taken the one before.
func (f *front) stream(ctx *fasthttp.RequestCtx, r *revision, c *call, given head) {
	s := &streamed{front: f, revision: r, call: c, rest: c.answer.data, method: method(ctx), path: string(ctx.Path())}
	ctx.SetStatusCode(c.answer.status)
	ctx.SetContentType(firstOf(given.Type, typeOfPart(c.answer.kind, c.answer.data)))
	if c.answer.kind == replyPartEvent {
		s.events = true
		ctx.Response.Header.Set("Cache-Control", "no-cache")
		ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would keep events until it has a page full of them
	}
	given.write(ctx)
	if ctx.Request.Header.IsHTTP11() || ctx.IsHead() {
		ctx.SetBodyStream(s, -1)
		return
	}
	// HTTP/1.0 has no chunks: the end of the connection is the end of the body.
	head := fmt.Appendf(nil, "HTTP/1.0 %d %s\r\nConnection: close\r\n", c.answer.status,
		fasthttp.StatusMessage(c.answer.status))
	for name, value := range ctx.Response.Header.All() {
		if string(name) != fasthttp.HeaderContentLength {
			head = fmt.Appendf(head, "%s: %s\r\n", name, value)
		}
	}
	head = append(head, "\r\n"...)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		defer func() { _ = s.Close() }()
		w := bufio.NewWriter(conn)
		_, _ = w.Write(head)
		buf := make([]byte, 4<<10)
		for {
			n, err := s.Read(buf)
			if n > 0 {
				_, _ = w.Write(buf[:n])
				if w.Flush() != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
}

// streamed is a body that comes in parts. It is read by the connection's goroutine alone.
type streamed struct {
	front    *front
	revision *revision
	call     *call
	rest     []byte // of the part that came last
	method   string
	path     string
	events   bool // server-sent ones
	partDue  bool // a part was requested from the worker
	ended    bool
	closed   bool
}

// Between two server-sent events a comment is sent from time to time, so that no proxy takes the connection for idle.
const keepAlive = ": keep-alive\n\n"

// next waits for a part; false: something else is to be sent meanwhile.
func (s *streamed) next() bool {
	c := s.call
	if !s.events {
		<-c.done
		return true
	}
	timer := time.NewTimer(s.front.limits.quiet)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

var errBroken = errors.New("the stream broke off")

func (s *streamed) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		c := s.call
		if c.gone() {
			return 0, errGone
		}
		if !s.partDue {
			if err := c.worker.more(c); err != nil {
				return s.broken(err)
			}
			s.partDue = true
		}
		if !s.next() {
			s.rest = []byte(keepAlive)
			break
		}
		s.partDue = false
		if c.failure != nil {
			return s.broken(c.failure)
		}
		switch c.answer.kind {
		case replyPartBytes, replyPartText, replyPartLines, replyPartEvent:
			s.rest = c.answer.data
		case replyEnd:
			s.ended = true
			return 0, io.EOF
		default:
			s.ended = true
			id, text := errorOf(c.answer.data)
			s.front.log(logLine{
				ID: id, Status: c.answer.status, Method: s.method, Path: s.path, Milliseconds: since(c.arrived),
				Error: firstOf(text, "no error") + " (after the answer had begun)",
			})
			return 0, errBroken
		}
	}
	_ = s.call.conn.SetWriteDeadline(time.Now().Add(writeSlowly))
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *streamed) broken(err error) (int, error) {
	s.ended = true
	p := s.front.problemOf(s.revision, err)
	s.front.log(logLine{
		ID: newID(), Status: p.status, Method: s.method, Path: s.path, Milliseconds: since(s.call.arrived),
		Error: p.logged() + " (after the answer had begun)",
	})
	return 0, err
}

// Close ends the stream, also in the worker.
func (s *streamed) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if !s.ended && !s.call.worker.quit(s.call) && s.partDue {
		<-s.call.done // it is on its way, and the call must not be anybody else's when it comes
	}
	s.front.metrics.latency.UpdateDuration(s.call.arrived)
	s.call.release()
	return nil
}
