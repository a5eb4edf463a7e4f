package watch

import (
	"context"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
)

// proof is what shows that a server answers now: events of long ago do not, since all its processes may have been
// killed meanwhile.
type proof struct {
	client  *deployer.Client
	spec    run.Spec
	given   bool
	asking  bool
	answers chan bool       // of ask, for take
	ctx     context.Context //nolint:containedctx // ends what ask starts, with end
	end     context.CancelCauseFunc
}

func newProof(ctx context.Context, client *deployer.Client, spec run.Spec) *proof {
	p := &proof{client: client, spec: spec, answers: make(chan bool, 1)}
	p.ctx, p.end = context.WithCancelCause(ctx)
	return p
}

// see takes in an event. What came after the event past happened just now.
func (p *proof) see(e run.Event, past int64) {
	if e.Type == run.EventServerReady && e.N > past && e.Revision >= p.spec.Server.Revision {
		p.given = true
	}
}

// request sends the server a request, unless one is under way.
func (p *proof) request() {
	if p.asking {
		return
	}
	p.asking = true
	go func() {
		l, err := p.client.Runs.Load(p.ctx, p.spec.Name)
		if err == nil {
			p.client.Runs.Ask(p.ctx, &l)
		}
		p.answers <- err == nil && l.Answers() && l.State.Server.Answering() >= p.spec.Server.Revision
	}()
}

// take takes in what the server has answered.
func (p *proof) take(answers bool) { p.asking, p.given = false, p.given || answers }
