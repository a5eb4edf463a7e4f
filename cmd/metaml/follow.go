package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
)

// refresh is the shortest time between two updates of a table: at most ten a second.
const refresh = 100 * time.Millisecond

// idleRefresh is how often a table is drawn again while nothing happens, so that its clock goes on.
const idleRefresh = time.Second

// screen shows a run to somebody: under a cell, on a terminal, or as lines in a pipe. One goroutine uses it.
type screen interface {
	// show draws the run or the server as it is now.
	show(d drawing) error
	// failed tells of trials that failed alike, once.
	failed(f *failure) error
	// close ends the live display; the last show stays.
	close() error
}

// watched is how watching a run ended.
type watched struct {
	state       *run.State
	interrupted bool // a stop was asked through this watch, and the run is stopped
	detached    bool
}

// follow delivers the events of a run from its first, until it ends or end is called; then ended has why the following
// ended.
func follow(
	ctx context.Context, client *deployer.Client, name string,
) (events <-chan run.Event, ended <-chan error, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	queue := make(chan run.Event, 1024) // a burst of trials; the follower waits when it is full
	why := make(chan error, 1)
	go func() {
		defer close(queue)
		why <- client.Runs.Follow(ctx, name, "", func(e run.Event, _ string) error {
			select {
			case queue <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return queue, why, func() { // the follower ends with the context; wait for it
		cancel(nil)
		for range queue {
		}
	}
}

// ask is what somebody asks of a run that is shown to them.
type ask int

const (
	askInterrupt ask = iota // what that means is a setting
	askNow                  // a further interrupt
	askDetach               // to be left alone with it: the run goes on
)

// watch follows a run to its end and shows it. asks delivers interrupts, and interrupt says what they mean.
func watch(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string, s screen,
	asks <-chan ask,
) (watched, error) {
	table, err := client.Runs.Table(ctx, spec.Name)
	if err != nil {
		return watched{}, err
	}
	events, ended, end := follow(ctx, client, spec.Name)
	defer end()

	w := watched{state: run.NewState(spec)}
	facts := view.Facts{Spec: spec, Table: table, Remarks: remarks, Interrupt: interrupt}
	_, facts.AllRows = s.(*lines)
	draw := func() error {
		facts.TensorBoard = reachable(tensorboardOf(w.state))
		return s.show(view.New(facts, w.state, time.Now()))
	}
	if err := draw(); err != nil {
		return w, err
	}
	var (
		due    = time.NewTimer(idleRefresh)
		last   = time.Now()
		asked  bool
		failed []int // since the last drawing
		alike  failures
	)
	defer due.Stop()
	tell := func() error { // of the trials that failed
		for _, i := range failed {
			if t := &w.state.Trials[i]; t.Phase == run.Failed {
				alike.add(t, time.Now())
			}
		}
		failed = failed[:0]
		for _, f := range alike.due(w.state, time.Now()) {
			if err := s.failed(f); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		select {
		case e, ok := <-events:
			if !ok {
				if err := <-ended; err != nil {
					return w, err
				}
				if err := errors.Join(draw(), tell()); err != nil {
					return w, err
				}
				w.interrupted = asked && w.state.Phase == run.Stopped
				if err := s.close(); err != nil {
					return w, err
				}
				_ = client.Runs.Seen(ctx, spec.Name) // a hint less is all that is lost
				return w, nil
			}
			if w.state.Apply(e) && e.Type == run.EventTrialEnded && e.Trial != nil && e.State == run.Failed {
				failed = append(failed, *e.Trial)
			}
			due.Reset(max(refresh-time.Since(last), 0))
		case <-due.C:
			if err := errors.Join(draw(), tell()); err != nil {
				return w, err
			}
			last = time.Now()
			due.Reset(idleRefresh)
		case what, ok := <-asks:
			if !ok {
				return w, talk.ErrClosed
			}
			if what.detaches(interrupt) {
				w.detached = true
				return w, s.close()
			}
			if err := client.Stop(ctx, spec.Name, nil, what == askNow || asked); err != nil {
				return w, err
			}
			asked = true
		case <-ctx.Done():
			return w, context.Cause(ctx)
		}
	}
}

func (a ask) detaches(interrupt string) bool {
	return a == askDetach || a == askInterrupt && interrupt == "detach"
}

// liveTensorBoard is where the run's TensorBoard is now, or "": it ends with the run and with its monitor.
func liveTensorBoard(l *run.Listed) string {
	if l.Liveness != run.Alive {
		return ""
	}
	return tensorboardOf(l.State)
}

// tensorboardOf finds the address that the run's monitor announced last.
func tensorboardOf(s *run.State) string {
	address := ""
	for _, n := range s.Notes {
		if n.Code == run.NoteTensorBoard && !n.Time.Before(s.Resumed) {
			address = n.Text
		}
	}
	return address
}

// reachable gives an address of this machine as the person's browser reaches it: through the Hub's proxy where there is
// one.
func reachable(address string) string {
	prefix := os.Getenv("JUPYTERHUB_SERVICE_PREFIX")
	u, err := url.Parse(address)
	if prefix == "" || err != nil || u.Port() == "" {
		return address
	}
	return strings.TrimSuffix(prefix, "/") + "/proxy/" + u.Port() + "/"
}

// ending is the error that a cell ends with.
type ending struct {
	name, text string
	traceback  []string
}

// outcome says how a watched run ends the cell or the command: nil when it is well.
func outcome(w watched, spec run.Spec) *ending {
	switch {
	case w.detached:
		return &ending{
			name: "Detached",
			text: fmt.Sprintf("%s goes on; `%%metaml attach %s` shows it again, `%%metaml stop %s` stops it", spec.Name,
				spec.Name, spec.Name),
		}
	case w.interrupted:
		return &ending{name: "KeyboardInterrupt", text: spec.Name + " was stopped"}
	case w.state.Phase == run.Stopped:
		return &ending{name: "Stopped", text: spec.Name + " was stopped"}
	case w.state.Phase != run.Failed:
		return nil
	}
	text, t := verdict(w.state, spec.Name)
	e := &ending{name: "TrialsFailed", text: text}
	if t != nil {
		_, body := view.Failure(t)
		e.traceback = strings.Split(body, "\n")
	}
	return e
}

// follow shows a run under the cell, or on the terminal where there is one, and ends the conversation.
func (c *converse) follow(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string,
) error {
	asks := make(chan ask)
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the conversation, or when the other side closes it
		defer close(asks)
		for {
			line, err := c.peer.nextUntil(done)
			if err != nil {
				return
			}
			what := askInterrupt
			switch {
			case line.Type == talk.TypeDetach:
				what = askDetach
			case line.Type != talk.TypeStop:
				continue
			case line.Now:
				what = askNow
			}
			select {
			case asks <- what:
			case <-done:
				return
			}
		}
	}()
	state, e, err := c.watch(ctx, client, spec, remarks, interrupt, asks)
	if err != nil {
		if errors.Is(err, talk.ErrClosed) || errors.Is(err, context.Canceled) {
			return err
		}
		e = &ending{name: "MetaMLError", text: message(err)}
	}
	return c.done(state, e)
}

// watch shows a run to its end, or a server until it is ready, and says how the cell ends.
func (c *converse) watch(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string, asks <-chan ask,
) (*run.State, *ending, error) {
	if spec.Kind == run.Serve {
		w, err := awaitServer(ctx, client, spec, remarks, interrupt, c.screen(), asks)
		if err != nil {
			return w.state, nil, err
		}
		return w.state, serverOutcome(w, spec), nil
	}
	w, err := watch(ctx, client, spec, remarks, interrupt, c.screen(), asks)
	if err != nil {
		return w.state, nil, err
	}
	return w.state, outcome(w, spec), nil
}

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

func (c *converse) screen() screen {
	switch {
	case c.render && c.lines:
		return &progress{peer: c.peer.Writer, once: c.detach, before: c.slice}
	case c.render:
		return &bundles{peer: c.peer.Writer, id: displayID("table")}
	}
	return newScreen(c.app, c.err)
}

func (c *converse) done(state *run.State, e *ending) error {
	var line talk.Done
	if state != nil {
		line.State = string(state.Phase)
	}
	if e != nil {
		text := view.Visible(e.text)
		traceback := []string{e.name + ": " + text}
		for _, line := range e.traceback {
			traceback = append(traceback, view.Visible(line))
		}
		line.Error = &talk.Failure{Name: e.name, Value: text, Traceback: traceback}
	}
	return c.peer.Send(line)
}

// displayID makes an id for a display that later lines update.
func displayID(what string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "metaml-" + what + "-" + hex.EncodeToString(b[:])
}
