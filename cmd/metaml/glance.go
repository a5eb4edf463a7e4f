package main

import (
	"context"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// glance shows a run or a server as it is now, for whoever has it as the value of a cell. Like all that only looks, it starts nothing.
func (c *converse) glance(ctx context.Context, begin fromPython) error {
	door, err := c.door()
	if err != nil {
		return err
	}
	listed, err := door.Target.Load(ctx, strings.TrimSpace(begin.Line))
	if err != nil {
		return err
	}
	d, err := glimpse(ctx, door, &listed)
	if err != nil {
		return err
	}
	if err := c.peer.send("display", map[string]any{"bundle": bundle(d), "display_id": displayID("table"), "update": false}); err != nil {
		return err
	}
	if listed.Spec.Kind == run.Train {
		for i, f := range failuresOf(listed.State).groups {
			if _, body := view.Failure(&f.first); body == "" || i >= maxFailures {
				continue
			}
			if err := c.peer.send("display", map[string]any{"bundle": f.bundle(), "display_id": displayID("failure"), "update": false}); err != nil {
				return err
			}
		}
	}
	return c.done(listed.State, nil)
}

func glimpse(ctx context.Context, door *deployer.Door, l *run.Listed) (drawing, error) {
	if l.Spec.Kind == run.Serve {
		door.Target.Ask(ctx, l)
		return view.NewPanel(view.ServerFacts{Spec: looked(door, l), Liveness: l.Liveness, Health: l.Health}, l.State, time.Now()), nil
	}
	table, err := door.Target.Table(ctx, l.Spec.Name)
	if err != nil {
		return nil, err
	}
	return view.New(view.Facts{Spec: l.Spec, Table: table, TensorBoard: reachable(liveTensorBoard(l))}, l.State, time.Now()), nil
}
