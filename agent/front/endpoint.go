package front

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// server makes the HTTP side: fasthttp reads requests and writes responses, one goroutine for each connection, and
// calls handle.
func (f *front) newServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:            f.answered,
		ErrorHandler:       f.malformed,
		ExpectHandler:      f.expectedNow,
		ReadBufferSize:     headerSize,
		WriteBufferSize:    4 << 10,
		ReadTimeout:        f.limits.header,
		WriteTimeout:       writeSlowly,
		IdleTimeout:        2 * time.Minute,
		Concurrency:        2 * f.limits.conns, // f.crowd keeps the bound; those that it cuts off need a moment to end
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

// headerSize bounds a request's header.
const headerSize = 16 << 10

// writeSlowly is how long a client may take for an answer, or a part of one; for a large one, a second more for each 64
// KiB.
const writeSlowly = time.Minute

// silent is for fasthttp's log, which is about clients that broke off.
type silent struct{}

func (silent) Printf(string, ...any) {}

// problem is why a request is not answered by the function, and what it is answered with.
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

func (p *problem) Error() string { return p.text }

// logged is the problem for those who have the log.
func (p *problem) logged() string { return firstOf(p.log, p.text) }

const (
	typeJSON  = "application/json"
	typeText  = "text/plain; charset=utf-8"
	typeBytes = "application/octet-stream"
	typeLines = "application/x-ndjson"
)

// answered answers one request, the connection's last where clients are to go elsewhere.
func (f *front) answered(ctx *fasthttp.RequestCtx) {
	f.handle(ctx)
	f.farewell(ctx)
}

// farewell ends a connection with the answer, where clients are to go elsewhere.
func (f *front) farewell(ctx *fasthttp.RequestCtx) {
	if f.leaving.Load() {
		ctx.SetConnectionClose()
	}
}

// handle answers one request.
func (f *front) handle(ctx *fasthttp.RequestCtx) {
	defer func() {
		if r := recover(); r != nil { // ours; the others' requests must not die of it
			f.startOver(ctx)
			f.refuse(ctx, time.Now(), &problem{
				status: 500, text: "an error of the server's own; the log has it under this id", close: true,
				log: fmt.Sprintf("panic: %v\n%s", r, debug.Stack()),
			})
		}
	}()
	if c, ok := ctx.Conn().(*client); ok {
		c.answered()
	}
	r := f.current.Load()
	if !f.visit(ctx, r) {
		return
	}
	if !f.admit(ctx, r) {
		return
	}
	path := ctx.Path()
	if r != nil && r.route.leads(ctx) {
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
		if r == nil { // whether callers must have a token is not known yet
			f.unknown(ctx)
		} else if f.only(ctx) {
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

// startOver forgets the answer that was begun, but for what all answers have.
func (f *front) startOver(ctx *fasthttp.RequestCtx) {
	ctx.Response.Reset()
	ctx.Response.Header.SetCanonical(nosniff, nosniffValue)
	if r := f.current.Load(); r != nil {
		r.sites.answerTo(ctx, string(ctx.Request.Header.PeekCanonical(headerOrigin)))
	}
}

func (f *front) unknown(ctx *fasthttp.RequestCtx) {
	if ctx.IsOptions() && string(ctx.Request.Header.RequestURI()) == "*" { // of the server as a whole
		f.options(ctx, "GET, HEAD, OPTIONS, POST")
		return
	}
	r := f.current.Load()
	if r == nil {
		f.refuse(ctx, ctx.Time(), &problem{status: 503, text: "the server is being started", retry: true})
		return
	}
	path := ctx.Path()
	shown := strings.ToValidUTF8(string(path[:min(len(path), 200)]), "\ufffd")
	f.refuse(ctx, ctx.Time(), &problem{
		status: 404, text: fmt.Sprintf("there is nothing at %s; the function answers at %s", shown, r.Path),
	})
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
	f.refuse(ctx, ctx.Time(), &problem{
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
	f.refuse(ctx, ctx.Time(), &problem{
		status: 503, text: "no worker has said yet what the function takes", retry: true,
	})
}

// malformed answers what is no HTTP, or comes too slowly.
func (f *front) malformed(ctx *fasthttp.RequestCtx, err error) {
	p := &problem{status: 400, text: "the request is not valid HTTP", close: true, unread: true}
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch fault := faultOf(ctx); {
	case fault != nil:
		p = fault
	case errors.As(err, &small):
		p.status, p.text = 431, "the request's header is larger than 16 KiB"
	case errors.As(err, &network) && network.Timeout():
		p.status, p.text, p.unread = 408, "the request came too slowly", false
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = f.tooLarge()
	}
	f.startOver(ctx)
	f.refuse(ctx, time.Now(), p)
}

// expectedNow is expected for fasthttp, which sends what is refused here without another call of ours.
func (f *front) expectedNow(ctx *fasthttp.RequestCtx) int {
	status := f.expected(ctx)
	if status != fasthttp.StatusContinue {
		f.farewell(ctx)
	}
	return status
}

// expected decides whether a client that waits for leave (Expect: 100-continue) is to send its body.
func (f *front) expected(ctx *fasthttp.RequestCtx) int {
	r := f.current.Load()
	if !f.visit(ctx, r) {
		return ctx.Response.StatusCode()
	}
	if !f.admit(ctx, r) {
		return ctx.Response.StatusCode()
	}
	if ctx.Request.Header.ContentLength() > f.limits.body {
		f.refuse(ctx, time.Now(), f.tooLarge())
		return 413
	}
	if r == nil || !r.route.leads(ctx) {
		f.unknown(ctx)
		return ctx.Response.StatusCode()
	}
	return fasthttp.StatusContinue
}

func (f *front) tooLarge() *problem {
	return &problem{status: 413, text: tooLong(f.limits.body), close: true, unread: true}
}

func tooLong(limit int) string { return fmt.Sprintf("the body is larger than %d MiB", limit>>20) }

// refuse answers with a problem.
func (f *front) refuse(ctx *fasthttp.RequestCtx, since time.Time, p *problem) {
	id := p.id
	if p.status >= 500 && id == "" {
		id = newID()
	}
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
		ID    string `json:"id,omitempty"`
	}{p.text, id})
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
	if c, ok := ctx.Conn().(*client); ok && p.close && p.unread {
		c.unread.Store(true)
	}
	f.logRequest(ctx, since, p.status, id, p.logged())
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

// endpoint calls the function.
func (f *front) endpoint(ctx *fasthttp.RequestCtx, r *revision) {
	since := ctx.Time()
	if f.refusing.Load() { // what came before is answered, also where its body still comes
		p := f.problemOf(r, errStopped)
		f.metrics.answered(p.status)
		f.refuse(ctx, since, p)
		return
	}
	var q request
	switch {
	case ctx.IsGet(), ctx.IsHead():
		q.query = ctx.QueryArgs()
	case ctx.IsPost():
		if err := f.readBody(ctx, &q); err != nil {
			p := f.problemOf(r, err)
			f.metrics.answered(p.status)
			f.refuse(ctx, since, p)
			return
		}
		since = time.Now() // the client's own time is not counted
	case ctx.IsOptions():
		f.options(ctx, "GET, HEAD, OPTIONS, POST")
		return
	default:
		f.refuse(ctx, since, &problem{
			status: 405, allow: "GET, HEAD, OPTIONS, POST",
			text: fmt.Sprintf("%s takes POST and GET, not %s", r.Path, method(ctx)),
		})
		return
	}
	q.events = asksForEvents(ctx.Request.Header.Peek("Accept"))
	c := newCall(since, ctx.Conn())
	f.watching.request(ctx.Conn())
	for {
		var err error
		if q.path, err = r.route.values(ctx); err == nil {
			err = f.call(r, c, &q)
		}
		if err == nil {
			break
		}
		if errors.Is(err, errMoved) {
			moved := f.current.Load()
			if moved != nil && moved.lock.opens(&ctx.Request.Header) && moved.route.leads(ctx) {
				r = moved
				continue
			}
			q.release()
			c.release()
			if f.admit(ctx, moved) {
				f.unknown(ctx)
			}
			return
		}
		q.release()
		p := f.problemOf(r, err)
		f.metrics.answered(p.status)
		f.refuse(ctx, since, p)
		c.release()
		return
	}
	f.answer(ctx, r, c)
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

// call hands a request to a revision and waits for what comes of it, which is in c then. q's body is used up if the
// result is nil; errMoved: another revision is to be called.
func (f *front) call(r *revision, c *call, q *request) error {
	c.deadline = c.arrived.Add(r.Timeout)
	h := r.hello.Load()
	if h == nil {
		var err error
		if h, err = f.awaitHello(r, c); err != nil {
			return err
		}
	}
	if err := f.item(h, c, q); err != nil {
		return err
	}
	unread := c.item == q.body
	toWatch, err := r.push(c)
	if err != nil {
		if !unread {
			c.item.release()
		}
		c.item = nil
		return err
	}
	if unread {
		q.body = nil
	}
	q.release()
	if toWatch != nil && f.watching.alone.Load() {
		toWatch.watch(c)
	}
	<-c.done
	return nil
}

// awaitHello waits for the first worker of a revision, which says what the function takes.
func (f *front) awaitHello(r *revision, c *call) (*hello, error) {
	if f.awaiting.Add(1) > int64(f.limits.queued) {
		f.awaiting.Add(-1)
		return nil, errFull
	}
	defer f.awaiting.Add(-1)
	timer := time.NewTimer(time.Until(c.deadline))
	defer timer.Stop()
	select {
	case <-r.known:
		return r.hello.Load(), nil
	case <-timer.C:
		return nil, errNobody
	case <-r.gone:
		return nil, r.why()
	case <-f.ended:
		return nil, errStopped
	}
}

// problemOf says what a request is answered with that failed with err.
func (f *front) problemOf(r *revision, err error) *problem {
	if p := (*problem)(nil); errors.As(err, &p) {
		return p
	}
	name := "the function"
	if h := r.hello.Load(); h != nil && h.Function != "" {
		name = h.Function
	}
	switch {
	case errors.Is(err, errFull):
		return &problem{status: 503, text: "too many requests wait for an answer; try again", retry: true}
	case errors.Is(err, errNobody):
		what := fmt.Sprintf("no worker of %s was there within %s", name, seconds(r.Timeout))
		return &problem{status: 503, text: what + logHasIt, log: what, retry: true}
	case errors.Is(err, errTimeout):
		return &problem{status: 504, text: fmt.Sprintf("%s did not answer within %s", name, seconds(r.Timeout))}
	case errors.Is(err, errGone):
		return &problem{status: 499, text: "the client has gone", close: true}
	case errors.Is(err, errStopped):
		return &problem{status: 503, text: "the server is stopping", close: true, retry: true}
	case errors.Is(err, errRetired), errors.Is(err, errMoved):
		return &problem{status: 503, text: "the server was given another revision; try again", retry: true}
	case errors.Is(err, errMonitor):
		return &problem{status: 503, text: "the server is being started again; try again", close: true, retry: true}
	}
	what := fmt.Sprintf("the worker ended while %s answered", name)
	return &problem{status: 502, text: what + logHasIt, log: what}
}

// logHasIt is for a client, who does not get the reason.
const logHasIt = "; the server's log has the reason"

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
