package front

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/deployer/run"
)

const typeEvents = "text/event-stream"

// known are the content types that bytes are recognised by. net/http knows more: HTML, XML and text, which a browser
// would take for a page that the function never meant, and formats that are guessed from two letters.
var knownTypes = map[string]string{
	"image/png": "image/png", "image/jpeg": "image/jpeg", "image/gif": "image/gif", "image/webp": "image/webp",
	"audio/wave": "audio/wav", "audio/mpeg": "audio/mpeg", "audio/aiff": "audio/aiff",
	"application/ogg": "application/ogg",
	"video/mp4":       "video/mp4", "video/webm": "video/webm", "video/avi": "video/avi",
	"application/pdf": "application/pdf", "application/zip": "application/zip",
	"application/x-gzip": "application/gzip",
}

// typeOfBytes recognises bytes by the first of them.
func typeOfBytes(data []byte) string {
	if known, ok := knownTypes[http.DetectContentType(data)]; ok {
		return known
	}
	return typeBytes
}

// typeOfPart is the content type of a stream, of which a part is the first.
func typeOfPart(kind byte, data []byte) string {
	switch kind {
	case replyPartText:
		return typeText
	case replyPartLines:
		return typeLines
	case replyPartEvent:
		return typeEvents
	}
	return typeOfBytes(data)
}

// asksForEvents reports whether an Accept header names server-sent events.
func asksForEvents(accept []byte) bool {
	if len(accept) < len(typeEvents) { // of most
		return false
	}
	for accepted := range strings.SplitSeq(string(accept), ",") {
		if mediaType(accepted) != typeEvents {
			continue
		}
		for parameter := range strings.SplitSeq(accepted, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			if q, err := strconv.ParseFloat(value, 64); strings.EqualFold(name, "q") && err == nil && q == 0 {
				return false
			}
		}
		return true
	}
	return false
}

// head is what a worker says of an answer beside the body.
type head struct {
	Type    string           `json:"type"`
	Headers [][2]string      `json:"headers"`
	Failure *run.CallFailure `json:"failure"` // for the monitor; it is never sent to a client
}

// readHead reads the head of an answer, which has none mostly. The worker has checked it: this is for what a program
// has sent past it.
func readHead(data []byte) (h head, err error) {
	if len(data) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return head{}, fmt.Errorf("headers that cannot be read: %w", err)
	}
	if h.Type != "" && !isValue(h.Type) {
		return head{}, fmt.Errorf("the content type %.80q", h.Type)
	}
	for _, header := range h.Headers {
		name := strings.ToLower(header[0])
		if !isToken(name) || slices.Contains(ours, name) || strings.HasPrefix(name, "access-control-") ||
			!isValue(header[1]) {
			return head{}, fmt.Errorf("the header %.80q", header)
		}
	}
	return h, nil
}

// ours are the headers that say where a message ends and what becomes of the connection.
var ours = []string{
	"connection", "content-length", "content-type", "keep-alive", "proxy-connection", "te", "trailer",
	"transfer-encoding", "upgrade",
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 || !token[r] })
}

// isValue reports whether text can be the value of a header: it is ASCII on one line.
func isValue(s string) bool {
	return strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '\t' && (r < ' ' || r > '~')
	})
}

// write sets the headers. Of those that are there it takes the place; of its own every one stays.
func (h head) write(ctx *fasthttp.RequestCtx) {
	for i, header := range h.Headers {
		if slices.ContainsFunc(h.Headers[:i], func(before [2]string) bool {
			return strings.EqualFold(before[0], header[0])
		}) {
			ctx.Response.Header.Add(header[0], header[1])
		} else {
			ctx.Response.Header.Set(header[0], header[1])
		}
	}
}

// wrongHead is what is answered in place of an answer whose head cannot be sent.
func wrongHead(r *revision, err error) *problem {
	name := r.hello.Load().Function
	return &problem{
		status: 500, text: name + " failed; the log has the reason under this id",
		log: fmt.Sprintf("%s answered with %v, which cannot be sent", name, err),
	}
}
