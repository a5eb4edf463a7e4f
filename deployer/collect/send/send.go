// Package send is a pod's side of deployer/collect: it sends the files of an attempt to the monitor of the run while
// they grow. It never holds up whoever writes them, and nothing depends on it.
//
// Read [Start] first. It speaks HTTP/1.1 by itself, over a socket of its own: net/http would make the program that each
// pod unpacks nearly twice as large, and net alone a part longer than the two that it has. It imports deployer/collect
// alone, and test/architecture keeps both out.
package send

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// Monitor is where to send.
type Monitor struct {
	Address netip.AddrPort // of the monitor's Service: a pod is given it as a variable, and looks up no name
	Token   string
}

// Sender sends in the background.
type Sender struct {
	ending   chan struct{} // has a value once nothing grows any more
	cancel   context.CancelCauseFunc
	done     chan struct{}
	err      error        // why not everything was sent; read after done
	answered atomic.Int64 // when the monitor answered last, in Unix nanoseconds
}

// errGivenUp ends a sender whose owner did not call Finish.
var errGivenUp = errors.New("the sender was given up")

// Start begins to send files, until ctx is done or [Sender.Finish] is called; whoever calls Start calls Finish. What is
// to be said of it once (that the monitor is reached, or is not; that a file is sent no further) goes to say, one note
// at a time.
func Start(
	ctx context.Context, m Monitor, source collect.Source, files Files, say func(collect.Note),
) (*Sender, error) {
	if err := collect.CheckSource(source); err != nil {
		return nil, fmt.Errorf("send to the monitor: %w", err)
	}
	if !m.Address.IsValid() || m.Address.Addr().Zone() != "" {
		return nil, fmt.Errorf("send to the monitor: %q is no address", m.Address)
	}
	if m.Token == "" || strings.ContainsFunc(m.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("send to the monitor: the token must be made of letters, digits and signs")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Sender{ending: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	l := &loop{
		source: source, files: files, say: say,
		client:   client{address: m.Address, token: m.Token},
		state:    collect.NewSender(time.Now(), source),
		answered: func() { s.answered.Store(time.Now().UnixNano()) },
	}
	go func() {
		defer close(s.done)
		s.err = l.run(ctx, s.ending)
	}()
	return s, nil
}

// Silent is how long ago the monitor answered last; ever is false where it never did.
func (s *Sender) Silent() (since time.Duration, ever bool) {
	at := s.answered.Load()
	return time.Since(time.Unix(0, at)), at != 0
}

// Finish sends what is left, until the monitor has everything or ctx is done, and ends the sender. The files must not
// grow any more. A monitor that was never reached is tried once. The error says what the monitor lacks.
func (s *Sender) Finish(ctx context.Context) error {
	select {
	case s.ending <- struct{}{}:
	default: // Finish was called before
	}
	defer s.cancel(errGivenUp)
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel(context.Cause(ctx))
		<-s.done
	}
	return s.err
}

// loop is the goroutine of a sender.
type loop struct {
	source   collect.Source
	files    Files
	say      func(collect.Note)
	answered func()
	client   client
	state    *collect.Sender
	entries  []collect.Entry // of files, when they were looked at last
	ended    bool            // nothing grows any more
	complete bool            // the entries are from after that
	body     []byte
	data     []byte
}

// run sends until it is over.
func (l *loop) run(ctx context.Context, ending <-chan struct{}) error {
	defer l.client.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return l.unsent(last)
		case <-ending:
			l.ended, ending = true, nil
			l.state.End(time.Now())
		case <-timer.C:
		}
		sent, err := l.step(ctx)
		if sent {
			last = err
		}
		if l.complete && l.state.Done(l.entries) {
			return nil
		}
		if l.ended && sent && !l.state.Reached() {
			return l.unsent(last)
		}
		timer.Reset(max(l.state.Wait(time.Now()), collect.BatchEvery))
	}
}

// step sends one batch, if one is due.
func (l *loop) step(ctx context.Context) (sent bool, err error) {
	defer func() {
		for _, note := range l.state.Notes() {
			l.say(note)
		}
	}()
	if err := l.look(ctx); err != nil && len(l.entries) == 0 {
		return false, err // they are looked at again
	}
	ranges, ok := l.state.Plan(time.Now(), l.entries)
	if !ok {
		return false, nil
	}
	answer, err := l.client.post(ctx, l.encode(ranges))
	if err != nil {
		l.state.Failed(time.Now(), err)
		return true, err
	}
	l.answered()
	l.state.Answered(time.Now(), answer)
	return true, nil
}

// look looks at the files, for the last time after the end.
func (l *loop) look(ctx context.Context) (err error) {
	if !l.complete {
		l.entries, err = l.files.List(ctx, l.ended)
		l.complete = l.ended && err == nil
	}
	return err
}

// encode reads what is to be sent. What cannot be read now is left out.
func (l *loop) encode(ranges []collect.Range) []byte {
	b := collect.Batch{Source: l.source}
	if l.data == nil {
		l.data = make([]byte, collect.MaxBatch)
	}
	room := l.data
	for _, r := range ranges {
		data := room[:r.Length]
		if l.files.ReadAt(r.File, data, r.Offset) == nil {
			room = room[r.Length:]
			b.Pieces = append(b.Pieces, collect.Piece{File: r.File, Offset: r.Offset, Data: data})
		}
	}
	l.body = collect.AppendBatch(l.body[:0], b)
	return l.body
}

// unsent says what the monitor lacks. It does not look at the files again: that may take longer than there is time.
func (l *loop) unsent(last error) error {
	return errors.Join(fmt.Errorf("the monitor lacks what came last of %d files", l.state.Behind(l.entries)), last)
}
