package record

import (
	"context"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// Ask requests of servers whether they answer now, all at once and for a second at most. It starts nothing.
func (r *Reader) Ask(ctx context.Context, listed ...*run.Listed) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var requests sync.WaitGroup
	turns := make(chan struct{}, askAtOnce)
	for _, l := range listed {
		l.Health = ""
		if l.Liveness != run.Alive || l.State.Server == nil || l.State.Server.Address == "" {
			continue
		}
		requests.Go(func() { l.Health = health(ctx, l.State.Server.Address, turns) })
	}
	requests.Wait()
}

// health sends one server requests until it answers or the time is over: a worker or front that has just ended is there
// again in milliseconds, and requests wait for it meanwhile.
func health(ctx context.Context, address string, turns chan struct{}) run.Health {
	latest := run.HealthSilent
	for {
		turns <- struct{}{}
		said := Health(ctx, address)
		<-turns
		if said == run.HealthReady {
			return said
		}
		if said != run.HealthSilent { // of a silent one it is not known whether the time was over
			latest = said
		}
		select {
		case <-ctx.Done():
			return latest
		case <-time.After(askAgain):
		}
	}
}

// How long requests for servers' health go on, after what time again, and how many at a time.
const (
	askPatience = time.Second
	askAgain    = 20 * time.Millisecond
	askAtOnce   = 64
)
