package front

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// server makes the HTTP side: fasthttp reads requests and writes responses, one goroutine for each connection, and calls handle.
func (f *front) newServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:            f.handle,
		ErrorHandler:       f.malformed,
		ExpectHandler:      f.expected,
		ReadBufferSize:     16 << 10, // bounds a request's header
		WriteBufferSize:    8 << 10,
		ReadTimeout:        f.limits.header,
		WriteTimeout:       time.Minute,
		IdleTimeout:        2 * time.Minute,
		Concurrency:        f.limits.conns,
		MaxRequestBodySize: f.limits.body,
		// Small bodies are read before handle is called, larger ones by it, as far as they are allowed to grow.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		Logger:                       silent{},
	}
}

// silent is for fasthttp's log, which is about clients that broke off.
type silent struct{}

func (silent) Printf(string, ...any) {}

// problem is an answer of our own that says what is wrong.
type problem struct {
	status int
	text   string
	id     string // in the log
	allow  string // methods, with a 405
	retry  bool   // it may help to ask again
	close  bool   // the connection is of no more use
	unread bool   // and the client may still be sending
	log    string // what the log says, if not text
}

const (
	typeJSON  = "application/json"
	typeText  = "text/plain; charset=utf-8"
	typeBytes = "application/octet-stream"
	typeLines = "application/x-ndjson"
)

// handle answers one request.
func (f *front) handle(ctx *fasthttp.RequestCtx) {
	defer func() {
		if r := recover(); r != nil { // ours; the others' requests must not die of it
			ctx.Response.Reset()
			f.refuse(ctx, time.Now(), problem{
				status: 500, text: "an error of the server's own; the log has it under this id", close: true,
				log: fmt.Sprintf("panic: %v\n%s", r, debug.Stack()),
			})
		}
	}()
	path := ctx.Path()
	if r := f.current.Load(); r != nil && string(path) == r.Path {
		f.endpoint(ctx, r)
		return
	}
	switch string(path) {
	case "/healthz":
		if f.only(ctx) {
			f.text(ctx, 200, "ok\n")
		}
	case "/readyz":
		if f.only(ctx) {
			f.ready(ctx)
		}
	case "/metrics":
		if f.only(ctx) {
			ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
			f.metrics.write(ctx.Response.BodyWriter(), f)
		}
	case "/openapi.json":
		if f.only(ctx) {
			f.openAPI(ctx)
		}
	default:
		f.unknown(ctx)
	}
}

func (f *front) unknown(ctx *fasthttp.RequestCtx) {
	r := f.current.Load()
	if r == nil {
		f.refuse(ctx, ctx.Time(), problem{status: 503, text: "the server is being started", retry: true})
		return
	}
	path := ctx.Path()
	shown := strings.ToValidUTF8(string(path[:min(len(path), 200)]), "\ufffd")
	f.refuse(ctx, ctx.Time(), problem{status: 404, text: fmt.Sprintf("there is nothing at %s; the function answers at %s", shown, r.Path)})
}

// only lets requests pass that read.
func (f *front) only(ctx *fasthttp.RequestCtx) bool {
	switch {
	case ctx.IsGet(), ctx.IsHead():
		return true
	case ctx.IsOptions():
		f.options(ctx, "GET, HEAD, OPTIONS")
		return false
	}
	f.refuse(ctx, ctx.Time(), problem{
		status: 405, allow: "GET, HEAD, OPTIONS", text: fmt.Sprintf("%s takes GET, not %s", ctx.Path(), method(ctx)),
	})
	return false
}

func (f *front) options(ctx *fasthttp.RequestCtx, allow string) {
	ctx.Response.Header.Set("Allow", allow)
	ctx.SetStatusCode(204)
}

func method(ctx *fasthttp.RequestCtx) string {
	m := ctx.Method()
	return strings.ToValidUTF8(string(m[:min(len(m), 40)]), "\ufffd")
}

func (f *front) text(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType(typeText)
	ctx.SetBodyString(text)
}

func (f *front) ready(ctx *fasthttp.RequestCtx) {
	if r := f.current.Load(); r != nil && !f.stopping.Load() {
		r.mu.Lock()
		connected := r.connected
		r.mu.Unlock()
		if connected > 0 {
			f.text(ctx, 200, "ok\n")
			return
		}
	}
	f.text(ctx, 503, "no worker is ready\n")
}

func (f *front) openAPI(ctx *fasthttp.RequestCtx) {
	if r := f.current.Load(); r != nil {
		if h := r.hello.Load(); h != nil && len(h.OpenAPI) > 0 {
			ctx.SetContentType(typeJSON)
			ctx.SetBody(h.OpenAPI)
			return
		}
	}
	f.refuse(ctx, ctx.Time(), problem{status: 503, text: "no worker has said yet what the function takes", retry: true})
}

// malformed answers what is no HTTP, or comes too slowly.
func (f *front) malformed(ctx *fasthttp.RequestCtx, err error) {
	p := problem{status: 400, text: "the request is not valid HTTP", close: true}
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		p.status, p.text = 431, "the request's header is larger than 16 KiB"
	case errors.As(err, &network) && network.Timeout():
		p.status, p.text = 408, "the request came too slowly"
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = f.tooLarge()
	}
	ctx.Response.Reset()
	f.refuse(ctx, time.Now(), p)
}

// expected decides whether a client that asks first (Expect: 100-continue) is to send its body.
func (f *front) expected(ctx *fasthttp.RequestCtx) int {
	if ctx.Request.Header.ContentLength() > f.limits.body {
		f.refuse(ctx, time.Now(), f.tooLarge())
		return 413
	}
	if r := f.current.Load(); r == nil || string(ctx.Path()) != r.Path {
		f.unknown(ctx)
		return ctx.Response.StatusCode()
	}
	return fasthttp.StatusContinue
}

func (f *front) tooLarge() problem {
	return problem{status: 413, text: fmt.Sprintf("the body is larger than %d MiB", f.limits.body>>20), close: true, unread: true}
}

// refuse answers with a problem.
func (f *front) refuse(ctx *fasthttp.RequestCtx, since time.Time, p problem) {
	if p.status >= 500 && p.id == "" {
		p.id = newID()
	}
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
		ID    string `json:"id,omitempty"`
	}{p.text, p.id})
	ctx.SetStatusCode(p.status)
	ctx.SetContentType(typeJSON)
	ctx.SetBody(body)
	if p.allow != "" {
		ctx.Response.Header.Set("Allow", p.allow)
	}
	if p.retry {
		ctx.Response.Header.Set("Retry-After", "1")
	}
	if p.close {
		ctx.SetConnectionClose()
	}
	if p.unread && ctx.Request.IsBodyStream() {
		answerAndDrain(ctx)
	}
	f.logRequest(ctx, since, p.status, p.id, firstOf(p.log, p.text))
}

// What is still taken of a body that is not wanted, so that the client reads the answer before it is cut off: to close a socket
// with unread bytes resets the connection, and most clients report that instead of what they were told.
const (
	drainTime  = 2 * time.Second
	drainBytes = 32 << 20
)

// answerAndDrain writes the response itself, and then reads a while.
func answerAndDrain(ctx *fasthttp.RequestCtx) {
	var response fasthttp.Response
	ctx.Response.CopyTo(&response)
	response.SkipBody = ctx.IsHead()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(drainTime))
		w := bufio.NewWriter(conn)
		if response.Write(w) != nil || w.Flush() != nil {
			return
		}
		if under, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
			if tcp, ok := under.UnsafeConn().(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
		}
		_, _ = io.CopyN(io.Discard, conn, drainBytes)
	})
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// request is what of an HTTP request the function is to get.
type request struct {
	query       *fasthttp.Args // of a GET
	contentType string
	body        *buffer // its first 8 bytes are free, for the header of an item
	size        int     // of the body
}

func (q *request) text() []byte { return q.body.b[8 : 8+q.size] }

// endpoint calls the function.
func (f *front) endpoint(ctx *fasthttp.RequestCtx, r *revision) {
	since := ctx.Time()
	var q request
	switch {
	case ctx.IsGet(), ctx.IsHead():
		q.query = ctx.QueryArgs()
	case ctx.IsPost():
		p := f.readBody(ctx, &q)
		if p.status != 0 {
			f.metrics.answered(p.status)
			f.refuse(ctx, since, p)
			return
		}
		since = time.Now() // the client's own time is not counted
	case ctx.IsOptions():
		f.options(ctx, "GET, HEAD, OPTIONS, POST")
		return
	default:
		f.refuse(ctx, since, problem{
			status: 405, allow: "GET, HEAD, OPTIONS, POST", text: fmt.Sprintf("%s takes POST and GET, not %s", r.Path, method(ctx)),
		})
		return
	}
	c := newCall(since, ctx.Conn())
	for {
		p := f.call(r, c, &q)
		if p.status == 0 {
			break
		}
		if p.status == statusMoved {
			if moved := f.current.Load(); moved != nil && string(ctx.Path()) == moved.Path {
				r = moved
				continue
			}
			q.release()
			c.release()
			f.unknown(ctx)
			return
		}
		q.release()
		f.metrics.answered(p.status)
		f.refuse(ctx, since, p)
		c.release()
		return
	}
	f.answer(ctx, r, c)
}

func (q *request) release() {
	if q.body != nil {
		q.body.release()
		q.body = nil
	}
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

func newCall(since time.Time, conn net.Conn) *call {
	c := calls.Get().(*call)
	c.arrived, c.conn = since, conn
	return c
}

// release gives back a call that nobody else has.
func (c *call) release() {
	data, shape, out := c.answer.data, c.answer.shape, c.out
	if cap(data) > keptBuffer {
		data = nil
	}
	if cap(out) > keptBuffer {
		out = nil
	}
	*c = call{done: c.done, out: out[:0], answer: answer{data: data[:0], shape: shape[:0]}}
	calls.Put(c)
}

// statusMoved says that another revision answers now. It is never seen by clients.
const statusMoved = 1

// call hands a request to a revision and waits for what comes of it, which is in c then. q's body is used up if the result is no
// problem.
func (f *front) call(r *revision, c *call, q *request) problem {
	c.deadline = c.arrived.Add(r.Timeout)
	h := r.hello.Load()
	if h == nil {
		var p problem
		if h, p = f.meet(r, c); p.status != 0 {
			return p
		}
	}
	if p := f.item(h, c, q); p.status != 0 {
		return p
	}
	same := c.item == q.body
	if err := r.push(c); err != nil {
		if !same {
			c.item.release()
		}
		c.item = nil
		return f.problemOf(r, err)
	}
	if same {
		q.body = nil
	}
	q.release()
	<-c.done
	return problem{}
}

// meet waits for the first worker of a revision, which says what the function takes.
func (f *front) meet(r *revision, c *call) (*hello, problem) {
	if f.meeting.Add(1) > int64(f.limits.queued) {
		f.meeting.Add(-1)
		return nil, f.problemOf(r, errFull)
	}
	defer f.meeting.Add(-1)
	timer := time.NewTimer(time.Until(c.deadline))
	defer timer.Stop()
	select {
	case <-r.known:
		return r.hello.Load(), problem{}
	case <-timer.C:
		return nil, f.problemOf(r, errNobody)
	case <-f.ended:
		return nil, f.problemOf(r, errStopped)
	}
}

// problemOf says what a call without an answer is answered with.
func (f *front) problemOf(r *revision, err error) problem {
	name := "the function"
	if h := r.hello.Load(); h != nil && h.Function != "" {
		name = h.Function
	}
	switch {
	case errors.Is(err, errMoved):
		return problem{status: statusMoved}
	case errors.Is(err, errFull):
		return problem{status: 503, text: "too many requests wait for an answer; try again", retry: true}
	case errors.Is(err, errNobody):
		return problem{status: 503, text: fmt.Sprintf("no worker of %s was there within %s; the server's log has the reason", name, seconds(r.Timeout)), retry: true}
	case errors.Is(err, errTimeout):
		return problem{status: 504, text: fmt.Sprintf("%s did not answer within %s", name, seconds(r.Timeout))}
	case errors.Is(err, errGone):
		return problem{status: 499, text: "the client has gone", close: true}
	case errors.Is(err, errStopped):
		return problem{status: 503, text: "the server is stopping", close: true, retry: true}
	case errors.Is(err, errRetired):
		return problem{status: 503, text: "the server was given another revision; try again", retry: true}
	case errors.Is(err, errMonitor):
		return problem{status: 503, text: "the server is being started again; try again", close: true, retry: true}
	}
	return problem{status: 502, text: fmt.Sprintf("the worker ended while %s answered; the server's log has the reason", name)}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }

// readBody reads a body into memory, as far as there is room for it.
func (f *front) readBody(ctx *fasthttp.RequestCtx, q *request) problem {
	header := &ctx.Request.Header
	length := header.ContentLength()
	if length > f.limits.body {
		return f.tooLarge()
	}
	if encoding := header.ContentEncoding(); len(encoding) > 0 && !strings.EqualFold(string(encoding), "identity") {
		return problem{status: 415, text: "the body must not be compressed", close: true, unread: true}
	}
	q.contentType = string(header.ContentType())
	q.body = newBuffer(&f.budget)
	stream := ctx.RequestBodyStream()
	b := q.body
	known := min(max(length, 0), 64<<10) // grow with what arrives, not with what the header claims
	if !b.grow(8 + pad8(known)) {
		q.release()
		return f.noRoom()
	}
	b.b = b.b[:8]
	start, renewed := time.Time{}, 0
	for stream != nil {
		if len(b.b)-8 > f.limits.body {
			q.release()
			return f.tooLarge()
		}
		if len(b.b) == cap(b.b) || int64(len(b.b)) >= b.charged {
			if length >= 0 && len(b.b)-8 == length {
				break
			}
			want := 2 * len(b.b)
			if length >= 0 {
				want = min(want, 8+pad8(length))
			}
			if !b.grow(max(want, len(b.b)+1)) {
				q.release()
				return f.noRoom()
			}
		}
		if read := len(b.b) - renewed; read >= 64<<10 { // a slow sender gets time for what it sent
			if start.IsZero() {
				start = time.Now()
			}
			renewed = len(b.b)
			_ = ctx.SetReadDeadline(time.Now().Add(f.limits.header))
		}
		n, err := stream.Read(b.b[len(b.b):min(int64(cap(b.b)), b.charged)])
		b.b = b.b[:len(b.b)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			break
		}
		q.release()
		var network net.Error
		if errors.As(err, &network) && network.Timeout() {
			return problem{status: 408, text: "the body came too slowly", close: true}
		}
		return problem{status: 400, text: "the body ends too soon, or its chunks are broken", close: true}
	}
	if length >= 0 && len(b.b)-8 != length {
		q.release()
		return problem{status: 400, text: "the body ends too soon", close: true}
	}
	q.size = len(b.b) - 8
	return problem{}
}

func (f *front) noRoom() problem {
	return problem{status: 503, text: "too many requests wait for an answer; try again", retry: true, close: true, unread: true}
}

// item makes what a worker gets of a request.
func (f *front) item(h *hello, c *call, q *request) problem {
	if q.query != nil {
		return f.fields(c, q.query)
	}
	kind, form := itemBytes, false
	if h.Input.Kind != "bytes" {
		kind, form = kindOf(q.contentType)
	}
	text := q.text()
	if form {
		if !looksJSON(text) {
			var args fasthttp.Args
			args.ParseBytes(text)
			return f.fields(c, &args)
		}
		kind = itemJSON
	}
	if kind == itemBytes {
		size := len(q.contentType) + 1 + len(text)
		item := newBuffer(&f.budget)
		if !item.grow(8 + pad8(size)) {
			item.release()
			return f.noRoom()
		}
		b := append(item.b[:0], make([]byte, 8)...)
		b = append(append(b, q.contentType...), 0)
		b = append(b, text...)
		putItemHeader(b, itemBytes, nil, size)
		item.b = appendPadding(b, size)
		c.item, c.kind, c.prefix = item, itemBytes, 8
		return problem{}
	}
	if h.array != nil {
		item := newBuffer(&f.budget)
		// Text of a number and what separates it is two bytes at least, a number eight at most.
		if !item.grow(min(8*len(text)/2, f.limits.body) + itemPrefix(maxDims) + 16) {
			item.release()
			return f.noRoom()
		}
		b, ok := decodeArray(item.b, text, h.array, h.Input.NDim)
		item.b = b
		if ok {
			c.item, c.kind, c.prefix = item, itemArray, itemPrefix(int(b[1]))
			return problem{}
		}
		item.release()
	}
	putItemHeader(q.body.b, itemJSON, nil, q.size)
	q.body.b = appendPadding(q.body.b[:8+q.size], q.size)
	c.item, c.kind, c.prefix = q.body, itemJSON, 8
	return problem{}
}

// kindOf says as what a body of a content type is passed on; form: it depends on the body.
func kindOf(contentType string) (kind int, form bool) {
	kindOf, _, _ := strings.Cut(contentType, ";")
	kindOf = strings.ToLower(strings.TrimSpace(kindOf))
	switch {
	case kindOf == "", kindOf == typeJSON, strings.HasSuffix(kindOf, "+json"):
		return itemJSON, false
	case kindOf == "application/x-www-form-urlencoded":
		return itemBytes, true
	}
	return itemBytes, false
}

// looksJSON reports whether what came as a form is JSON in truth, which is what `curl -d` sends.
func looksJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && strings.IndexByte(`{["-0123456789tfn`, body[0]) >= 0 && json.Valid(body)
}

// fields makes an item of the fields of a query or a form.
func (f *front) fields(c *call, args *fasthttp.Args) problem {
	found := map[string]any{}
	for key, value := range args.All() {
		if !utf8.Valid(key) || !utf8.Valid(value) {
			return problem{status: 400, text: fmt.Sprintf("the field %q is not UTF-8", url.QueryEscape(string(key)))}
		}
		name, text := string(key), string(value)
		switch before := found[name].(type) {
		case nil:
			found[name] = text
		case string:
			found[name] = []string{before, text}
		case []string:
			found[name] = append(before, text)
		}
	}
	data, err := json.Marshal(found)
	if err != nil {
		return problem{status: 400, text: "the fields cannot be read"}
	}
	item := newBuffer(&f.budget)
	if !item.grow(8 + pad8(len(data))) {
		item.release()
		return f.noRoom()
	}
	b := append(append(item.b[:0], make([]byte, 8)...), data...)
	putItemHeader(b, itemFields, nil, len(data))
	item.b = appendPadding(b, len(data))
	c.item, c.kind, c.prefix = item, itemFields, 8
	return problem{}
}

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
	if a.kind >= replyPartBytes && a.kind <= replyPartLines {
		f.metrics.answered(a.status)
		f.stream(ctx, r, c)
		return
	}
	contentType, body, p := f.render(r, c)
	if p.status != 0 {
		f.metrics.answered(p.status)
		f.refuse(ctx, c.arrived, p)
	} else {
		f.metrics.answered(a.status)
		ctx.SetStatusCode(a.status)
		ctx.Response.Header.SetContentType(contentType)
		if a.status >= 500 {
			id, text := errorOf(body)
			f.logRequest(ctx, c.arrived, a.status, id, text)
		}
		switch {
		case cap(body) > keptBuffer:
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
func (f *front) render(r *revision, c *call) (contentType string, body []byte, p problem) {
	a := &c.answer
	switch a.kind {
	case replyText:
		return typeText, a.data, p
	case replyBytes:
		return typeBytes, a.data, p
	case replyEnd: // a stream without parts
		return typeBytes, a.data, p
	case replyArray:
		out, at := a.dtype.encode(c.out[:0], a.shape, a.data)
		c.out = out
		if at < 0 {
			return typeJSON, out, p
		}
		name := r.hello.Load().Function
		return "", nil, problem{
			status: 500, text: name + " failed; the log has the reason under this id",
			log: fmt.Sprintf("%s returned a number at %s that JSON does not have (nan or infinity)", name, place(a.shape, at)),
		}
	}
	return typeJSON, a.data, p
}

// place names an element of an array, as Python would.
func place(shape []uint32, at int) string {
	var s string
	for i := len(shape) - 1; i >= 0; i-- {
		s = fmt.Sprintf("[%d]%s", at%int(shape[i]), s)
		at /= int(shape[i])
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
func (f *front) stream(ctx *fasthttp.RequestCtx, r *revision, c *call) {
	s := &streamed{front: f, revision: r, call: c, rest: c.answer.data, method: method(ctx), path: string(ctx.Path())}
	ctx.SetStatusCode(c.answer.status)
	switch c.answer.kind {
	case replyPartText:
		ctx.SetContentType(typeText)
	case replyPartLines:
		ctx.SetContentType(typeLines)
	default:
		ctx.SetContentType(typeBytes)
	}
	if ctx.Request.Header.IsHTTP11() || ctx.IsHead() {
		ctx.SetBodyStream(s, -1)
		return
	}
	// HTTP/1.0 has no chunks: the end of the connection is the end of the body.
	head := fmt.Sprintf("HTTP/1.0 %d %s\r\nContent-Type: %s\r\nConnection: close\r\n\r\n",
		c.answer.status, fasthttp.StatusMessage(c.answer.status), ctx.Response.Header.ContentType())
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		defer s.Close()
		w := bufio.NewWriter(conn)
		_, _ = w.WriteString(head)
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
	ended    bool
	closed   bool
}

// partTimeout is how long a client may take for a part.
const partTimeout = time.Minute

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
		if err := c.worker.more(c); err != nil {
			return s.broken(err)
		}
		<-c.done
		if c.failure != nil {
			return s.broken(c.failure)
		}
		switch c.answer.kind {
		case replyPartBytes, replyPartText, replyPartLines:
			s.rest = c.answer.data
		case replyEnd:
			s.ended = true
			return 0, io.EOF
		default:
			s.ended = true
			id, text := errorOf(c.answer.data)
			s.front.log(logLine{ID: id, Status: c.answer.status, Method: s.method, Path: s.path, Milliseconds: since(c.arrived), Error: firstOf(text, "no error") + " (after the answer had begun)"})
			return 0, errBroken
		}
	}
	_ = s.call.conn.SetWriteDeadline(time.Now().Add(partTimeout))
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *streamed) broken(err error) (int, error) {
	s.ended = true
	p := s.front.problemOf(s.revision, err)
	s.front.log(logLine{ID: newID(), Status: p.status, Method: s.method, Path: s.path, Milliseconds: since(s.call.arrived), Error: p.text + " (after the answer had begun)"})
	return 0, err
}

// Close ends the stream, also in the worker.
func (s *streamed) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if !s.ended {
		s.call.worker.quit(s.call)
	}
	s.front.metrics.latency.UpdateDuration(s.call.arrived)
	s.call.release()
	return nil
}

func since(t time.Time) float64 { return float64(time.Since(t).Microseconds()) / 1000 }

// logLine is what the log has of a request that failed.
type logLine struct {
	Time         time.Time `json:"time"`
	ID           string    `json:"id,omitempty"`
	Status       int       `json:"status,omitempty"`
	Method       string    `json:"method,omitempty"`
	Path         string    `json:"path,omitempty"`
	Milliseconds float64   `json:"ms,omitempty"`
	Error        string    `json:"error"`
	LeftOut      int       `json:"left_out,omitempty"` // lines before this one
}

func (f *front) logRequest(ctx *fasthttp.RequestCtx, from time.Time, status int, id, text string) {
	if status < 500 {
		return
	}
	path := ctx.Path()
	f.log(logLine{
		ID: id, Status: status, Method: method(ctx), Path: strings.ToValidUTF8(string(path[:min(len(path), 200)]), "\ufffd"), Milliseconds: since(from), Error: text,
	})
}

// linesASecond bounds the log: an overloaded server refuses tens of thousands of requests a second.
const linesASecond = 100

func (f *front) log(l logLine) {
	f.logging.Lock()
	defer f.logging.Unlock()
	l.Time = time.Now()
	if second := l.Time.Unix(); second != f.logSecond {
		f.logSecond, f.logLines = second, 0
	}
	if f.logLines++; f.logLines > linesASecond {
		f.logLeft++
		return
	}
	l.LeftOut, f.logLeft = f.logLeft, 0
	line, err := json.Marshal(l)
	if err != nil {
		return
	}
	if _, err := f.logTo.Write(append(line, '\n')); err != nil && !errors.Is(err, os.ErrClosed) {
		f.logLeft++
	}
}
