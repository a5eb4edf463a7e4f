// Package watch shows a run to somebody until it ends, or a server until it is ready: events in, drawings out. Under a
// cell the drawings are display bundles, on a terminal a table that is redrawn, in a pipe a line for each change.
//
// Read [Until] first: it is the one loop, and training.go and serving.go are what it reads of the two kinds of runs.
// The package imports the deployer and internal/talk.
package watch

import (
	"context"
	"errors"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// refresh is the shortest time between two drawings: at most ten a second.
const refresh = 100 * time.Millisecond

// Drawing is one moment of a run or of a server, which can be drawn everywhere.
type Drawing interface {
	HTML() string
	Text() string
	Terminal(width, height int, colour bool) []string
}

// Screen shows a run to somebody. One goroutine uses it.
type Screen interface {
	// show draws the run or the server as it is now.
	show(d Drawing) error
	// failed shows trials that failed alike, once.
	failed(f *Failure) error
	// close ends the live display; the last Drawing stays.
	close() error
}

// Request is what somebody wants of a run that is shown to them.
type Request int

// The requests.
const (
	Interrupt Request = iota // what that means is a setting
	Now                      // a further interrupt
	Detach                   // to be left alone with it: the run goes on
)

// hasEnded reports whether a run could not be stopped since it has ended, as its events are about to say.
func hasEnded(err error) bool {
	mistake, ok := errors.AsType[*usererror.Error](err)
	return ok && mistake.Code == usererror.CodeEnded
}

// detaches reports whether a request ends the watching alone. interrupt is the setting: stop or detach.
func (r Request) detaches(interrupt string) bool {
	return r == Detach || r == Interrupt && interrupt == "detach"
}

// Options are what is known of a run that is shown, beside its events.
type Options struct {
	Remarks   []string // lines over the table
	Interrupt string   // what an interrupt means: stop or detach; "" where nobody waits for the run
	Proxy     string   // path under which a browser reaches ports of this machine, from JUPYTERHUB_SERVICE_PREFIX

	Early []Request // what was requested before the run was there

	allRows bool // the screen has room for every trial
}

// subject is what the loop reads of a run: of a kind, as it is now.
type subject interface {
	// first draws before any event came, or leaves it to the first refresh.
	first() bool
	// idle is the time after which it is drawn again while nothing happens.
	idle() time.Duration
	// apply takes in an event.
	apply(e run.Event)
	// decided reports whether there is nothing more to wait for, though more events may follow.
	decided() bool
	// draw gives the drawing, and the failures that are to be shown with it.
	draw(now time.Time) (Drawing, []*Failure)
	// answered delivers what a question of its own was answered with, for take; nil where it requests nothing.
	answered() <-chan bool
	take(answer bool)
	// request does what somebody requests, and reports whether the watching ends with it.
	request(ctx context.Context, r Request) (detached bool, err error)
	// end says how watching ended. It is called once, at the end.
	end(detached bool) End
}

// Until shows a run until it ends, or a server until it is ready or never will be. requests delivers what somebody
// wants meanwhile; its end is that of whoever watches: [talk.ErrClosed].
func Until(
	ctx context.Context, client *deployer.Client, spec run.Spec, o Options, s Screen, requests <-chan Request,
) (End, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	newSubject := newTraining
	if spec.Kind == run.Serve {
		newSubject = newServing
	}
	_, o.allRows = s.(*lines)
	of, err := newSubject(ctx, client, spec, o)
	if err != nil {
		return End{}, err
	}
	events, why, stop := follow(ctx, client, spec.Name)
	defer stop()
	for _, r := range o.Early {
		detached, err := of.request(ctx, r)
		if err != nil {
			return of.end(false), err
		}
		if detached {
			return of.end(true), s.close()
		}
	}
	return loop(ctx, of, s, events, why, requests)
}

// loop is the one loop. why has the reason for which events ended.
func loop(
	ctx context.Context, of subject, s Screen, events <-chan run.Event, why <-chan error, requests <-chan Request,
) (End, error) {
	draw := func() error {
		d, failures := of.draw(time.Now())
		errs := []error{s.show(d)}
		for _, f := range failures {
			errs = append(errs, s.failed(f))
		}
		return errors.Join(errs...)
	}
	ended := func(detached bool) (End, error) {
		var err error
		if !detached {
			err = draw()
		}
		err = errors.Join(err, s.close())
		return of.end(detached), err
	}
	last := time.Now()
	due := time.NewTimer(refresh)
	defer due.Stop()
	if of.first() {
		if err := draw(); err != nil {
			return of.end(false), err
		}
		due.Reset(of.idle())
	}
	for {
		select {
		case e, ok := <-events:
			// What comes at the same moment belongs to the same picture.
			for more := true; more && ok; {
				of.apply(e)
				select {
				case e, ok = <-events:
				default:
					more = false
				}
			}
			if !ok {
				if err := <-why; err != nil {
					return of.end(false), err
				}
				of.decided()
				return ended(false)
			}
			if of.decided() {
				return ended(false)
			}
			due.Reset(max(refresh-time.Since(last), 0))
		case answer := <-of.answered():
			if of.take(answer); of.decided() {
				return ended(false)
			}
		case <-due.C:
			if err := draw(); err != nil {
				return of.end(false), err
			}
			last = time.Now()
			due.Reset(of.idle())
		case r, ok := <-requests:
			if !ok {
				return of.end(false), talk.ErrClosed
			}
			detached, err := of.request(ctx, r)
			if err != nil {
				return of.end(false), err
			}
			if detached {
				return ended(true)
			}
		case <-ctx.Done():
			return of.end(false), context.Cause(ctx)
		}
	}
}

// follow delivers the events of a run from its first, until it ends or stop is called; then why has the reason.
func follow(ctx context.Context, client *deployer.Client, name string) (<-chan run.Event, <-chan error, func()) {
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
