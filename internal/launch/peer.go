package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// refusal is an error of the user's side, with the traceback of their own code where it raised.
type refusal struct {
	user      *usererror.Error
	traceback string
}

// peer is the other side of a conversation: lines in, lines out. One goroutine reads; any may write.
type peer struct {
	*talk.Writer
	lines chan talk.FromModule // closed at the end of the input; capacity 16 lets a few stops queue up
	err   error                // why it ended, valid once lines is closed

	next int
}

func newPeer(in io.Reader, out io.Writer) *peer {
	p := &peer{lines: make(chan talk.FromModule, 16), Writer: talk.NewWriter(out)}
	go p.read(in) // ends with its input, which ends with the process at the latest
	return p
}

func (p *peer) read(in io.Reader) {
	defer close(p.lines)
	lines := talk.NewReader(in)
	for {
		text, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.err = fmt.Errorf("read the conversation: %w", err)
			return
		}
		var line talk.FromModule
		if err := json.Unmarshal(text, &line); err != nil {
			p.err = fmt.Errorf("the conversation has a line that is not JSON: %w", err)
			return
		}
		p.lines <- line
	}
}

// receive waits for the next line of one of the kinds; others are ignored.
func (p *peer) receive(ctx context.Context, kinds ...talk.Type) (talk.FromModule, error) {
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				if p.err != nil {
					return talk.FromModule{}, p.err
				}
				return talk.FromModule{}, talk.ErrClosed
			}
			if slices.Contains(kinds, line.Type) {
				return line, nil
			}
			if line.Type == talk.TypeStop {
				return talk.FromModule{}, ErrInterrupted
			}
		case <-ctx.Done():
			return talk.FromModule{}, context.Cause(ctx)
		}
	}
}

// ask sends a `need` and waits for its `have`.
func (p *peer) ask(ctx context.Context, question talk.Need) (talk.FromModule, error) {
	p.next++
	id := p.next
	question.ID = id
	if err := p.Send(question); err != nil {
		return talk.FromModule{}, err
	}
	for {
		answer, err := p.receive(ctx, talk.TypeHave)
		if err != nil {
			return talk.FromModule{}, err
		}
		if answer.ID != id {
			continue
		}
		if e := answer.Error; e != nil {
			return talk.FromModule{}, &refusal{
				user:      &usererror.Error{Code: usererror.Code(e.Code), Text: e.Text, Hint: e.Hint},
				traceback: e.Traceback,
			}
		}
		return answer, nil
	}
}

// answers is Python's side of a submission: the live session, or a short-lived process where there is none.
type answers interface {
	ask(ctx context.Context, question talk.Need) (talk.FromModule, error)
}

// describe requests how names look. Without names there is nothing to request.
func describe(ctx context.Context, p answers, question talk.Need) (map[string]session.Name, error) {
	if len(question.Describe) == 0 {
		return nil, nil
	}
	have, err := p.ask(ctx, question)
	if err != nil {
		return nil, err
	}
	names := make(map[string]session.Name, len(have.Describe))
	for name, text := range have.Describe {
		var n session.Name
		if err := json.Unmarshal(text, &n); err != nil {
			return nil, fmt.Errorf("describe %s: %w", name, err)
		}
		names[name] = n
	}
	return names, nil
}

func distributions(ctx context.Context, p answers, modules []string) (map[string]talk.Distribution, error) {
	if len(modules) == 0 {
		return nil, nil
	}
	have, err := p.ask(ctx, talk.Need{Distributions: modules})
	return have.Distributions, err
}

func (e *refusal) Error() string { return e.user.Error() }

func (e *refusal) Unwrap() error { return e.user }

// nextUntil gives the next line, unless done is closed first.
func (p *peer) nextUntil(done <-chan struct{}) (talk.FromModule, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return talk.FromModule{}, talk.ErrClosed
		}
		return line, nil
	case <-done:
		return talk.FromModule{}, io.EOF
	}
}
