package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/internal/usererror"
)

// maxLine bounds one line of the conversation (docs/internals/protocols.md §1), in bytes.
const maxLine = 64 << 20

// fromPython is a line that the module sends; which fields it has depends on Type.
type fromPython struct {
	V        int               `json:"v"`
	Type     string            `json:"type"`
	Kind     string            `json:"kind"`
	Line     string            `json:"line"`
	Cell     cellLabel         `json:"cell"`
	Cwd      string            `json:"cwd"`
	Source   string            `json:"source"`
	Settings map[string]string `json:"settings"`
	Environ  map[string]string `json:"environment"` // the variables METAML_* of the session; nil if it does not say
	Function string            `json:"function"`
	Session  json.RawMessage   `json:"session"`
	Now      bool              `json:"now"`

	ID            int                     `json:"id"`
	Describe      map[string]session.Name `json:"describe"`
	Distributions map[string]distribution `json:"distributions"`
	With          map[string]shippedValue `json:"with"`
	Draw          *drawnRows              `json:"draw"`
	Runs          map[string]string       `json:"runs"` // variable → name of the Run that it holds
	JSON          string                  `json:"json"`
	Error         *pythonError            `json:"error"`
}

type cellLabel struct {
	Seq    int    `json:"seq"`
	Count  int    `json:"count"`
	ID     string `json:"id"`
	Parent string `json:"parent"`
	Alone  bool   `json:"alone"`
	Lines  bool   `json:"lines"` // the front end does not replace displays
}

type distribution struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type shippedValue struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
}

type drawnRows struct {
	Rows   [][][2]json.RawMessage `json:"rows"`
	Digest string                 `json:"digest"`
	Whole  string                 `json:"whole"`
	Notes  []string               `json:"notes"`
}

type pythonError struct {
	Code      string `json:"code"`
	Text      string `json:"text"`
	Hint      string `json:"hint"`
	Traceback string `json:"traceback"`
}

// refusal is an error of the user's side, with the traceback of their own code where it raised.
type refusal struct {
	user      *usererror.Error
	traceback string
}

// drawQuestion is what `need {draw}` asks (docs/internals/protocols.md §1).
type drawQuestion struct {
	Name        string   `json:"name"`
	Limit       int      `json:"limit"`
	Completions int      `json:"completions"`
	Parallelism int      `json:"parallelism"`
	Parameters  []string `json:"parameters"`
	Required    []string `json:"required"`
	Whole       string   `json:"whole,omitempty"`
	Annotated   bool     `json:"annotated,omitempty"` // Whole says that it takes a dict
	Seed        *int64   `json:"seed,omitempty"`
}

// errHangUp says that the other side closed the conversation.
var errHangUp = errors.New("the other side closed the conversation")

// peer is the other side of a conversation: lines in, lines out. One goroutine reads; any may write.
type peer struct {
	lines chan fromPython // closed at the end of the input; capacity 16 lets a few stops queue up
	err   error           // why it ended, valid once lines is closed

	mu  sync.Mutex // guards out and next
	out *bufio.Writer

	next int
}

func newPeer(in io.Reader, out io.Writer) *peer {
	p := &peer{lines: make(chan fromPython, 16), out: bufio.NewWriter(out)}
	go p.read(in) // ends with its input, which ends with the process at the latest
	return p
}

func (p *peer) read(in io.Reader) {
	defer close(p.lines)
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	for scanner.Scan() {
		var line fromPython
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			p.err = fmt.Errorf("the conversation has a line that is not JSON: %w", err)
			return
		}
		p.lines <- line
	}
	if err := scanner.Err(); err != nil {
		p.err = fmt.Errorf("read the conversation: %w", err)
	}
}

// send writes one line. Fields are merged into {v, type}.
func (p *peer) send(kind string, fields map[string]any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := map[string]any{"v": 1, "type": kind}
	maps.Copy(line, fields)
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode a %s line: %w", kind, err)
	}
	if _, err := p.out.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("%w: %w", errHangUp, err)
	}
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errHangUp, err)
	}
	return nil
}

// receive waits for the next line of one of the kinds; others are ignored.
func (p *peer) receive(ctx context.Context, kinds ...string) (fromPython, error) {
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				if p.err != nil {
					return fromPython{}, p.err
				}
				return fromPython{}, errHangUp
			}
			if slices.Contains(kinds, line.Type) {
				return line, nil
			}
			if line.Type == "stop" {
				return fromPython{}, errInterrupted
			}
		case <-ctx.Done():
			return fromPython{}, context.Cause(ctx)
		}
	}
}

// ask sends a `need` and waits for its `have`.
func (p *peer) ask(ctx context.Context, question map[string]any) (fromPython, error) {
	p.next++
	id := p.next
	question["id"] = id
	if err := p.send("need", question); err != nil {
		return fromPython{}, err
	}
	for {
		answer, err := p.receive(ctx, "have")
		if err != nil {
			return fromPython{}, err
		}
		if answer.ID != id {
			continue
		}
		if e := answer.Error; e != nil {
			return fromPython{}, &refusal{user: &usererror.Error{Code: usererror.Code(e.Code), Text: e.Text, Hint: e.Hint}, traceback: e.Traceback}
		}
		return answer, nil
	}
}

// answers is Python's side of a submission: the live session, or a short-lived process where there is none.
type answers interface {
	ask(ctx context.Context, question map[string]any) (fromPython, error)
}

func describe(ctx context.Context, p answers, names []string) (map[string]session.Name, error) {
	have, err := p.ask(ctx, map[string]any{"describe": names})
	return have.Describe, err
}

func distributions(ctx context.Context, p answers, modules []string) (map[string]distribution, error) {
	if len(modules) == 0 {
		return nil, nil
	}
	have, err := p.ask(ctx, map[string]any{"distributions": modules})
	return have.Distributions, err
}

func (e *refusal) Error() string { return e.user.Error() }

func (e *refusal) Unwrap() error { return e.user }
