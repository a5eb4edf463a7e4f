package front

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

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
		ID: id, Status: status, Method: method(ctx),
		Path: strings.ToValidUTF8(string(path[:min(len(path), 200)]), "\ufffd"), Milliseconds: since(from), Error: text,
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
