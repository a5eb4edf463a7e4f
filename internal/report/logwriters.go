package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
)

// refusedRequests writes for people what the front logged of requests that got no answer of a worker. Those whose
// function failed are in the worker's own log. heading comes before the first, prefix before each.
func refusedRequests(to io.Writer, heading, prefix string) *byLine {
	return &byLine{do: func(line []byte) error {
		text := refused(line)
		if text == "" {
			return nil
		}
		_, err := io.WriteString(to, heading+prefix+text)
		heading = ""
		return err
	}}
}

// refused is a line of front.log as a sentence, or "".
func refused(line []byte) string {
	var l struct {
		ID           string  `json:"id"`
		Status       int     `json:"status"`
		Method       string  `json:"method"`
		Path         string  `json:"path"`
		Milliseconds float64 `json:"ms"`
		Error        string  `json:"error"`
		LeftOut      int     `json:"left_out"`
	}
	if json.Unmarshal(line, &l) != nil || l.Status <= 500 {
		return ""
	}
	var text strings.Builder
	if l.LeftOut > 0 {
		fmt.Fprintf(&text, "metaml: %s of refused requests left out\n", prose.Count(l.LeftOut, "line"))
	}
	after := view.Moment(time.Duration(l.Milliseconds * float64(time.Millisecond)))
	fmt.Fprintf(&text, "metaml: %s %s %s got %d after %s: %s\n", view.OneLine(l.ID), view.OneLine(l.Method),
		view.OneLine(l.Path), l.Status, after, view.OneLine(l.Error))
	return text.String()
}

// lockedWriter lets several write whole lines to one stream.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// prefixed writes each whole line with something in front.
func prefixed(to io.Writer, prefix string) *byLine {
	return &byLine{do: func(line []byte) error {
		_, err := to.Write(append([]byte(prefix), line...))
		return err
	}}
}

// byLine gives what is written to do, line by line with their line feeds; the last one waits for its own.
type byLine struct {
	do   func(line []byte) error
	part []byte
}

func (w *byLine) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		end := bytes.IndexByte(w.part, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := w.part[:end+1]
		w.part = w.part[end+1:]
		if err := w.do(line); err != nil {
			return 0, err
		}
	}
}
