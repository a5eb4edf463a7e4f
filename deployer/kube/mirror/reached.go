package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/metaml/metaml/deployer/kube/reach"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// After what time it is looked again how callers outside of the cluster reach a server: while an address is waited for,
// and when there is one.
const (
	lookWaiting = 2 * time.Second
	lookReached = 30 * time.Second
)

// reached has callers outside of the cluster reach the server as the revision that answers says, once it does, and
// gives what the record lacks of that. Until then they reach the one before it, as they did.
func (v *server) reached(ctx context.Context, s *serverSeen) []run.Event {
	state := v.plans.state
	now := state.Server
	if s.owner == nil || s.spec == nil || s.stopped() || state.Phase.Final() || !now.Settled(s.wanted()) {
		v.lookNext = time.Time{}
		return nil
	}
	if !reach.Concerns(s.owner, s.spec) {
		return v.plans.public(run.Public{})
	}
	if s.now.Before(v.lookNext) {
		return nil
	}
	v.lookNext = s.now.Add(lookWaiting)
	is, err := reach.Ensure(ctx, v.cluster, s.owner, s.spec)
	if err != nil {
		refused, ok := refusal(err)
		if !ok {
			return nil // it is tried again
		}
		is = run.Public{Text: refused, Waits: true}
	}
	if !is.Waits {
		v.lookNext = s.now.Add(lookReached)
	}
	return v.plans.public(is)
}

// refusal says why a cluster does not want an object, if that is why there is none.
func refusal(err error) (why string, refused bool) {
	u, ok := errors.AsType[*usererror.Error](err)
	if !ok {
		return "", false
	}
	switch u.Code {
	case usererror.CodeName, usererror.CodeQuota, usererror.CodeRefused, usererror.CodeRights:
		return u.Text, true
	default:
		return "", false
	}
}

// public gives the event that is missing for how callers outside of the cluster reach the server.
func (p *serverPlanner) public(is run.Public) []run.Event {
	if p.state.Server.Public == is {
		return nil
	}
	e := is.Event()
	p.state.Apply(e)
	return []run.Event{e}
}
