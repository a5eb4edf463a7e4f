package front

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/deployer/run"
)

// probeBody is how much of an answer the monitor is sent.
const probeBody = 64 << 10

// probe calls the function as a request would.
func (f *front) probe(r *revision, body *string) run.Probed {
	n := run.Probed{Revision: r.Number}
	began := time.Now()
	c := newCall(began, nil)
	c.deadline = began.Add(r.Timeout)
	h := r.hello.Load()
	if h == nil {
		var err error
		if h, err = f.awaitHello(r, c); err != nil {
			p := f.problemOf(r, err)
			n.Status, n.Error = p.status, p.logged()
			return n
		}
	}
	text := string(h.Example)
	if body != nil {
		text = *body
	}
	if n.Example = text; text == "" || text == "null" && body == nil {
		n.Example, n.Skipped = "", true
		return n
	}
	began = time.Now()
	c.arrived = began
	q := request{named: r.route.named, contentType: typeJSON, body: newBuffer(&f.budget), size: len(text)}
	if !q.body.grow(8 + pad8(len(text))) {
		q.release()
		n.Status, n.Error = 503, f.noRoom().text
		return n
	}
	q.body.b = append(append(q.body.b[:0], make([]byte, 8)...), text...)
	if err := f.call(r, c, &q); err != nil {
		q.release()
		p := f.problemOf(r, err)
		n.Status, n.Error = p.status, p.logged()
		return n
	}
	n.Seconds = time.Since(began).Seconds()
	defer c.release()
	if c.failure != nil {
		p := f.problemOf(r, c.failure)
		n.Status, n.Error = p.status, p.logged()
		return n
	}
	n.Status = c.answer.status
	given, err := readHead(c.answer.head)
	n.Failure = given.Failure
	if isPart(c.answer.kind) {
		n.ContentType = firstOf(given.Type, typeOfPart(c.answer.kind, c.answer.data))
		n.Body = shown(c.answer.data)
		f.probeRest(r, c, &n)
		return n
	}
	contentType, data, failure := f.render(r, c)
	if err != nil {
		failure = wrongHead(r, err)
	}
	if failure != nil {
		p := f.problemOf(r, failure)
		f.log(logLine{ID: newID(), Status: p.status, Path: r.Path, Error: p.logged()})
		n.Status, n.Error = p.status, p.logged()
		return n
	}
	n.ContentType, n.Body = firstOf(given.Type, contentType), shown(data)
	if n.Status >= 400 {
		_, n.Error = errorOf(data)
		n.Error = firstOf(n.Error, fasthttp.StatusMessage(n.Status))
	}
	return n
}

// How much of a stream is read to see whether it breaks.
const (
	probeStream = 250 * time.Millisecond
	probeParts  = 100
)

// probeRest reads what follows the first part of a stream, for a moment. What breaks there has a status already, so no
// caller learns of it.
func (f *front) probeRest(r *revision, c *call, n *run.Probed) {
	over := time.NewTimer(probeStream)
	defer over.Stop()
	for range probeParts {
		if err := c.worker.more(c); err != nil {
			p := f.problemOf(r, err)
			n.Status, n.Error = p.status, p.logged()
			return
		}
		select {
		case <-c.done:
		case <-over.C:
			if !c.worker.quit(c) {
				<-c.done // it is on its way
			}
			return
		}
		switch {
		case c.failure != nil:
			p := f.problemOf(r, c.failure)
			n.Status, n.Error = p.status, p.logged()
			return
		case c.answer.kind == replyEnd:
			return
		case !isPart(c.answer.kind):
			_, n.Error = errorOf(c.answer.data)
			if given, err := readHead(c.answer.head); err == nil {
				n.Failure = given.Failure
			}
			n.Status, n.Body, n.Error = c.answer.status, shown(c.answer.data), firstOf(n.Error, "the stream broke off")
			return
		}
	}
	c.worker.quit(c)
}

func shown(data []byte) string {
	return strings.ToValidUTF8(string(data[:min(len(data), probeBody)]), "\ufffd")
}
