package watch

import (
	"context"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// Glance gives a run or a server as it is now, and the first failures of its trials. Like all that only reads, it
// starts nothing.
func Glance(ctx context.Context, client *deployer.Client, l *run.Listed, proxy string) (Drawing, []*Failure, error) {
	if l.Spec.Kind == run.Serve {
		client.Runs.Ask(ctx, l)
		facts := view.ServerFacts{Spec: Revision(client, l), Liveness: l.Liveness, Health: l.Health}
		return view.NewPanel(facts, l.State, time.Now()), nil, nil
	}
	table, err := client.Runs.Table(ctx, l.Spec.Name)
	if err != nil {
		return nil, nil, err
	}
	facts := view.Facts{Spec: l.Spec, Table: table, TensorBoard: Reachable(LiveTensorBoard(l), proxy)}
	return view.New(facts, l.State, time.Now()), Failures(l.State), nil
}

// Revision gives the revision of a server that somebody who looks at it wants to see: the newest, unless that failed
// and another answers.
func Revision(client *deployer.Client, l *run.Listed) run.Spec {
	s := l.State.Server
	if s == nil || s.Revision == 0 || s.Failed == nil || s.Failed.Revision < l.Spec.Server.Revision {
		return l.Spec
	}
	spec, err := client.Runs.RevisionSpec(l.Spec.Name, s.Revision)
	if err != nil {
		return l.Spec
	}
	return spec
}
