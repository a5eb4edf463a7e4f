package front

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/agent/front/jsonarray"
)

// request is what of an HTTP request the function is to get.
type request struct {
	query       *fasthttp.Args // of a GET
	contentType string
	body        *buffer // its first 8 bytes are free, for the header of an item
	size        int     // of the body
	events      bool    // server-sent events are accepted
	path        []byte  // the parameters in the path, as JSON
	named       bool    // the body, which is JSON, has all parameters by name, those of the path too
}

func (q *request) text() []byte { return q.body.b[8 : 8+q.size] }

// byteOrderMark stands before the text that some programs write. It is no part of JSON, which a parser may ignore it
// for (RFC 8259).
const byteOrderMark = "\xef\xbb\xbf"

// cutMark drops a byte order mark at the beginning of the body.
func (q *request) cutMark() {
	if text := q.text(); len(text) >= len(byteOrderMark) && string(text[:len(byteOrderMark)]) == byteOrderMark {
		q.size = copy(text, text[len(byteOrderMark):])
		q.body.b = q.body.b[:8+q.size]
	}
}

func (q *request) release() {
	if q.body != nil {
		q.body.release()
		q.body = nil
	}
}

// readBody reads a body into memory, as far as there is room for it.
func (f *front) readBody(ctx *fasthttp.RequestCtx, q *request) error {
	header := &ctx.Request.Header
	length := header.ContentLength()
	if length > f.limits.body {
		return f.tooLarge()
	}
	if encoding := header.ContentEncoding(); len(encoding) > 0 && !strings.EqualFold(string(encoding), "identity") {
		return &problem{status: 415, text: "the body must not be compressed", close: true, unread: true}
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
	if c, ok := ctx.Conn().(*client); ok {
		c.waited()
		defer c.answered()
	}
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
			if c, ok := ctx.Conn().(*client); ok {
				c.waited()
			}
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
		if fault := faultOf(ctx); fault != nil {
			return fault
		}
		var network net.Error
		if errors.As(err, &network) && network.Timeout() {
			return &problem{status: 408, text: "the body came too slowly", close: true}
		}
		return &problem{
			status: 400, text: "the body ends too soon, or its chunks are broken", close: true, unread: true,
		}
	}
	if length >= 0 && len(b.b)-8 != length {
		q.release()
		return &problem{status: 400, text: "the body ends too soon", close: true}
	}
	q.size = len(b.b) - 8
	return nil
}

func (f *front) noRoom() *problem {
	return &problem{
		status: 503, text: "too many requests wait for an answer; try again", retry: true, close: true, unread: true,
	}
}

// item makes what a worker gets of a request.
func (f *front) item(h *hello, c *call, q *request) error {
	if err := f.input(h, c, q); err != nil {
		return err
	}
	if q.events {
		c.item.b[2] |= flagEvents
	}
	if q.path == nil {
		return nil
	}
	err := f.appendPath(c.item, q.path)
	if err != nil && c.item != q.body {
		c.item.release()
	}
	return err
}

// input makes the item of what the function is to get.
func (f *front) input(h *hello, c *call, q *request) error {
	if q.query != nil {
		return f.fields(c, q.query)
	}
	kind, form := itemBytes, false
	if q.named {
		c.item, c.kind, c.prefix = q.asItem(itemNamed), itemNamed, 8
		return nil
	}
	if mediaType(q.contentType) == typeForm {
		return f.form(c, q)
	}
	if h.Input.Kind != "bytes" {
		kind, form = kindOf(q.contentType)
	}
	if kind == itemJSON || form {
		q.cutMark()
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
		return nil
	}
	if h.array != nil {
		item := newBuffer(&f.budget)
		// Text of a number and what separates it is two bytes at least, a number eight at most.
		if !item.grow(min(8*len(text)/2, f.limits.body) + itemPrefix(jsonarray.MaxDims) + 16) {
			item.release()
			return f.noRoom()
		}
		b, ok := arrayItem(item.b, jsonarray.Unwrap(text, h.Input.Name), h.array, h.Input.NDim)
		item.b = b
		if ok {
			c.item, c.kind, c.prefix = item, itemArray, itemPrefix(int(b[1]))
			return nil
		}
		item.release()
	}
	c.item, c.kind, c.prefix = q.asItem(itemJSON), itemJSON, 8
	return nil
}

// arrayItem makes the item of JSON text that is an array, or one number, and nothing else; want says how many
// dimensions it must have, nil any. ok is false if the text is anything else, well formed or not.
func arrayItem(item, text []byte, d *jsonarray.Decoder, want *int) (_ []byte, ok bool) {
	ndim, ok := jsonarray.Dimensions(text)
	if !ok || want != nil && *want != ndim {
		return item, false
	}
	prefix := itemPrefix(ndim)
	var shape [jsonarray.MaxDims]uint32
	item, ok = d.Append(append(item[:0], make([]byte, prefix)...), text, shape[:ndim])
	length := len(item) - prefix
	if !ok || length > maxFrame/2 {
		return item, false
	}
	putItemHeader(item, itemArray, shape[:ndim], length)
	return appendPadding(item, length), true
}

// asItem makes the body itself an item.
func (q *request) asItem(kind byte) *buffer {
	putItemHeader(q.body.b, kind, nil, q.size)
	q.body.b = appendPadding(q.body.b[:8+q.size], q.size)
	return q.body
}

// kindOf says as what a body of a content type is passed on; form: it depends on the body.
func kindOf(contentType string) (kind int, form bool) {
	kindOf := mediaType(contentType)
	switch {
	case kindOf == "", isJSON(kindOf):
		return itemJSON, false
	case kindOf == "application/x-www-form-urlencoded":
		return itemBytes, true
	}
	return itemBytes, false
}

// mediaType is a content type without its parameters.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func isJSON(mediaType string) bool {
	return mediaType == typeJSON || strings.HasSuffix(mediaType, "+json")
}

// looksJSON reports whether what came as a form is JSON in truth, which is what `curl -d` sends, or was to be: no form
// begins with a brace, a bracket or a quotation mark, and who mistyped JSON is to read that.
func looksJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 {
		return false
	}
	return strings.IndexByte(`{["`, body[0]) >= 0 ||
		strings.IndexByte("-0123456789tfn", body[0]) >= 0 && json.Valid(body)
}

// fields makes an item of the fields of a query or a form.
func (f *front) fields(c *call, args *fasthttp.Args) error {
	fields := map[string]any{}
	for key, value := range args.All() {
		if !utf8.Valid(key) || !utf8.Valid(value) {
			return &problem{status: 400, text: fmt.Sprintf("the field %q is not UTF-8", url.QueryEscape(string(key)))}
		}
		name, text := string(key), string(value)
		switch before := fields[name].(type) {
		case nil:
			fields[name] = text
		case string:
			fields[name] = []string{before, text}
		case []string:
			fields[name] = append(before, text)
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return &problem{status: 400, text: "the fields cannot be read"}
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
	return nil
}
