package train

import (
	"context"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// Relay is a Supervisor around another: it passes on what happens, in order. What embeds it can look at each update
// before that, and send updates of its own.
type Relay struct {
	Supervisor
	out   chan run.Update // as deep as the inner one; the relay waits when it is full
	close sync.Once
	done  chan struct{} // closed by Close
	ended chan struct{} // closed when nothing is passed on any more
}

// Watch is what a Relay calls, all from one goroutine. Either may be nil.
type Watch struct {
	Update func(run.Update) // before it is passed on
	Every  time.Duration    // between two calls of Look
	Look   func()
}

// NewRelay makes a relay around sup. Nothing is passed on before Run.
func NewRelay(sup Supervisor) *Relay {
	return &Relay{
		Supervisor: sup, out: make(chan run.Update, cap(sup.Updates())+1), done: make(chan struct{}),
		ended: make(chan struct{}),
	}
}

// Run passes on until Close. It must be started once.
func (r *Relay) Run(w Watch) {
	defer close(r.ended)
	var look <-chan time.Time
	if w.Look != nil {
		ticker := time.NewTicker(w.Every)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case u, ok := <-r.Supervisor.Updates():
			if !ok {
				return
			}
			if w.Update != nil {
				w.Update(u)
			}
			r.Send(u, nil)
		case <-look:
			w.Look()
		case <-r.done:
			return
		}
	}
}

// Send adds an update, unless the relay or stop is closed before there is room for it.
func (r *Relay) Send(u run.Update, stop <-chan struct{}) {
	select {
	case r.out <- u:
	case <-r.done:
	case <-stop:
	}
}

// Updates is what happened, with what was added.
func (r *Relay) Updates() <-chan run.Update { return r.out }

// Sweep passes on, if the inner Supervisor can.
func (r *Relay) Sweep(ctx context.Context, running []run.AttemptID) error {
	if sweeper, ok := r.Supervisor.(Sweeper); ok {
		return sweeper.Sweep(ctx, running)
	}
	return nil
}

// Close ends the inner Supervisor and then the relay, which keeps taking updates until then.
func (r *Relay) Close() {
	r.Supervisor.Close()
	r.close.Do(func() { close(r.done) })
	<-r.ended
}
