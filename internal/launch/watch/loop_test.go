package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/talk"
)

// counted is a subject that is decided by its last event, and a screen that counts.
type counted struct {
	early           bool // it draws before any event
	rest            time.Duration
	events, enough  int
	requests        []Request
	refuse          error
	answers         chan bool
	drawn           []time.Duration // since the start
	start           time.Time
	ended, closed   int
	detached, taken bool
}

func (c *counted) first() bool           { return c.early }
func (c *counted) idle() time.Duration   { return c.rest }
func (c *counted) apply(run.Event)       { c.events++ }
func (c *counted) decided() bool         { return c.taken || c.enough > 0 && c.events >= c.enough }
func (c *counted) answered() <-chan bool { return c.answers }
func (c *counted) take(answer bool)      { c.taken = answer }

func (c *counted) draw(now time.Time) (Drawing, []*Failure) {
	c.drawn = append(c.drawn, now.Sub(c.start))
	return nil, nil
}

func (c *counted) request(_ context.Context, r Request) (bool, error) {
	c.requests = append(c.requests, r)
	return r == Detach, c.refuse
}

func (c *counted) end(detached bool) End {
	c.ended++
	c.detached = detached
	return End{}
}

func (c *counted) show(Drawing) error    { return nil }
func (c *counted) failed(*Failure) error { return nil }
func (c *counted) close() error          { c.closed++; return nil }

var errRefused = errors.New("refused")

func TestTheLoopDrawsAndEnds(t *testing.T) {
	type channels struct {
		events   chan run.Event
		why      chan error
		requests chan Request
		cancel   context.CancelCauseFunc
		of       *counted
	}
	ms := func(all ...int) (d []time.Duration) {
		for _, n := range all {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for _, c := range []struct {
		name     string
		of       counted
		do       func(c channels)
		want     error
		drawn    []time.Duration
		detached bool
		wanted   []Request
		open     bool // the display stays as it was: nobody is there to see it closed
	}{
		{
			name: "events that come together are one picture", of: counted{rest: time.Second, enough: 4},
			do: func(c channels) {
				for range 3 {
					c.events <- run.Event{}
				}
				<-time.After(500 * time.Millisecond) // of the test's own clock
				c.events <- run.Event{}
			},
			drawn: ms(100, 500),
		},
		{
			name: "events that come all the time are ten pictures a second", of: counted{rest: time.Second, enough: 95},
			do: func(c channels) {
				for range 95 {
					<-time.After(7 * time.Millisecond)
					c.events <- run.Event{}
				}
			},
			drawn: ms(100, 200, 300, 400, 500, 600, 665),
		},
		{
			name: "the clock goes on while nothing happens", of: counted{early: true, rest: time.Second, enough: 1},
			do: func(c channels) {
				<-time.After(2500 * time.Millisecond)
				c.events <- run.Event{}
			},
			drawn: ms(0, 1000, 2000, 2500),
		},
		{
			name: "the events end", of: counted{rest: time.Second},
			do:    func(c channels) { c.why <- nil; close(c.events) },
			drawn: ms(0),
		},
		{
			name: "the events break off", of: counted{rest: time.Second},
			do:   func(c channels) { c.why <- errRefused; close(c.events) },
			want: errRefused, open: true,
		},
		{
			name: "an answer decides", of: counted{rest: time.Second, answers: make(chan bool)},
			do: func(c channels) {
				c.of.answers <- false
				c.of.answers <- true
			},
			drawn: ms(0),
		},
		{
			name: "whoever watches leaves it alone", of: counted{rest: time.Second},
			do: func(c channels) { c.requests <- Detach }, detached: true, wanted: []Request{Detach},
		},
		{
			name: "a stop, a further one, and the end", of: counted{rest: time.Second},
			do: func(c channels) {
				c.requests <- Interrupt
				c.requests <- Now
				c.why <- nil
				close(c.events)
			},
			drawn: ms(0), wanted: []Request{Interrupt, Now},
		},
		{
			name: "a stop that fails", of: counted{rest: time.Second, refuse: errRefused},
			do:   func(c channels) { c.requests <- Interrupt },
			want: errRefused, wanted: []Request{Interrupt}, open: true,
		},
		{
			name: "whoever watches is gone", of: counted{rest: time.Second},
			do:   func(c channels) { close(c.requests) },
			want: talk.ErrClosed, open: true,
		},
		{
			name: "the context ends", of: counted{rest: time.Second},
			do:   func(c channels) { c.cancel(errRefused) },
			want: errRefused, open: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				of := c.of
				if of.answers != nil {
					of.answers = make(chan bool) // of this bubble
				}
				of.start = time.Now()
				ch := channels{make(chan run.Event, 8), make(chan error, 1), make(chan Request), cancel, &of}
				go c.do(ch)
				_, err := loop(ctx, &of, &of, ch.events, ch.why, ch.requests)
				if !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("it ended with %v", err)
				}
				if !slices.Equal(of.drawn, c.drawn) || !slices.Equal(of.requests, c.wanted) {
					t.Errorf("drawn at %v, requests %v", of.drawn, of.requests)
				}
				if of.ended != 1 || of.detached != c.detached || (of.closed == 0) != c.open {
					t.Errorf("ended %d times, detached %v, closed %d times", of.ended, of.detached, of.closed)
				}
			})
		})
	}
}
