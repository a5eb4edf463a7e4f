package front

import (
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// route is the path at which a function answers. In it, braces hold the names of parameters: /items/{id},
// /v1/models/{model}:predict.
type route struct {
	path     string
	segments []segment // nil: there are no parameters, nor anything encoded
	named    bool      // there are parameters
}

// segment is what stands between two slashes, decoded: before, and if it has a parameter its name and what stands
// behind it.
type segment struct{ before, name, after string }

// own are the paths of every server, which no parameter can stand for.
var own = []string{"/healthz", "/readyz", "/metrics", "/openapi.json"}

func newRoute(path string) route {
	r := route{path: path}
	if !strings.ContainsAny(path, "{%") {
		return r
	}
	for text := range strings.SplitSeq(path, "/") {
		before, rest, has := strings.Cut(text, "{")
		name, after, _ := strings.Cut(rest, "}")
		s := segment{before: unescaped(before), name: name, after: unescaped(after)}
		r.segments = append(r.segments, s)
		r.named = r.named || has
	}
	return r
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// leads reports whether a request's path is this one.
func (r *route) leads(ctx *fasthttp.RequestCtx) bool {
	if r.segments == nil {
		return string(ctx.Path()) == r.path
	}
	if r.named && slices.Contains(own, string(ctx.Path())) {
		return false
	}
	rest := string(ctx.URI().PathOriginal())
	for i, s := range r.segments {
		text, after, more := strings.Cut(rest, "/")
		if _, ok := s.value(text); !ok || more == (i == len(r.segments)-1) {
			return false
		}
		rest = after
	}
	return true
}

// value gives the parameter in a segment as it was sent; "" if it has none.
func (s segment) value(text string) (value string, ok bool) {
	plain := unescaped(text)
	if s.name == "" {
		return "", plain == s.before
	}
	rest, has := strings.CutPrefix(plain, s.before)
	if !has || len(rest) <= len(s.after) || !strings.HasSuffix(rest, s.after) || plain == "." || plain == ".." {
		return "", false
	}
	return rest[:len(rest)-len(s.after)], true
}

// values gives the parameters in the path of a request that leads here, as a JSON object of text; nil if there are
// none.
func (r *route) values(ctx *fasthttp.RequestCtx) ([]byte, error) {
	if !r.named {
		return nil, nil
	}
	parameters := map[string]string{}
	texts := strings.Split(string(ctx.URI().PathOriginal()), "/")
	for i, s := range r.segments {
		if s.name == "" || i >= len(texts) {
			continue
		}
		value, _ := s.value(texts[i])
		if !utf8.ValidString(value) {
			return nil, &problem{status: 400, text: s.name + ", in the path, is not UTF-8", close: true, unread: true}
		}
		parameters[s.name] = value
	}
	data, err := json.Marshal(parameters)
	if err != nil {
		return nil, &problem{status: 400, text: "the path cannot be read"}
	}
	return data, nil
}

// appendPath adds the parameters in the path to the item of a call.
func (f *front) appendPath(item *buffer, path []byte) error {
	if !item.grow(len(item.b) + 8 + pad8(len(path))) {
		return f.noRoom()
	}
	item.b[2] |= flagPath
	item.b = binary.LittleEndian.AppendUint64(item.b, uint64(len(path)))
	item.b = appendPadding(append(item.b, path...), len(path))
	return nil
}
