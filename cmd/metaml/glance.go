package main

import (
	"context"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
)

// glance shows a run or a server as it is now, for whoever has it as the value of a cell. Like all that only looks, it
// starts nothing.
func (c *converse) glance(ctx context.Context, begin talk.FromModule) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	listed, err := client.Runs.Load(ctx, strings.TrimSpace(begin.Line))
	if err != nil {
		return err
	}
	d, err := glimpse(ctx, client, &listed)
	if err != nil {
		return err
	}
	shows := func(what string, bundle map[string]string) error {
		return c.peer.Send(talk.Display{Bundle: bundle, DisplayID: displayID(what)})
	}
	if err := shows("table", bundle(d)); err != nil {
		return err
	}
	if listed.Spec.Kind == run.Train {
		for i, f := range failuresOf(listed.State).groups {
			if _, body := view.Failure(&f.first); body == "" || i >= maxFailures {
				continue
			}
			if err := shows("failure", f.bundle()); err != nil {
				return err
			}
		}
	}
	return c.done(listed.State, nil)
}

func glimpse(ctx context.Context, client *deployer.Client, l *run.Listed) (drawing, error) {
	if l.Spec.Kind == run.Serve {
		client.Runs.Ask(ctx, l)
		facts := view.ServerFacts{Spec: looked(client, l), Liveness: l.Liveness, Health: l.Health}
		return view.NewPanel(facts, l.State, time.Now()), nil
	}
	table, err := client.Runs.Table(ctx, l.Spec.Name)
	if err != nil {
		return nil, err
	}
	facts := view.Facts{Spec: l.Spec, Table: table, TensorBoard: reachable(liveTensorBoard(l))}
	return view.New(facts, l.State, time.Now()), nil
}
