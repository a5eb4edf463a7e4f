package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// training is a training run that is watched to its end.
type training struct {
	ctx    context.Context //nolint:containedctx // of the watching, for the note that the end was seen
	client *deployer.Client
	spec   run.Spec
	state  *run.State
	facts  view.Facts
	proxy  string

	interrupt string
	stopping  bool  // a stop was requested through this watch
	failed    []int // trials since the last Drawing
	alike     failures
}

func newTraining(ctx context.Context, client *deployer.Client, spec run.Spec, o Options) (subject, error) {
	table, err := client.Runs.Table(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	return &training{
		ctx: ctx, client: client, spec: spec, state: run.NewState(spec), proxy: o.Proxy, interrupt: o.Interrupt,
		// A screen shows what fits; lines in a pipe are of every trial.
		facts: view.Facts{Spec: spec, Table: table, Remarks: o.Remarks, Interrupt: o.Interrupt, AllRows: o.allRows},
	}, nil
}

func (t *training) first() bool           { return true }
func (t *training) idle() time.Duration   { return time.Second } // so that the clock goes on
func (t *training) decided() bool         { return false }
func (t *training) answered() <-chan bool { return nil }
func (t *training) take(bool)             {}

func (t *training) apply(e run.Event) {
	if t.state.Apply(e) && e.Type == run.EventTrialEnded && e.Trial != nil && e.State == run.Failed {
		t.failed = append(t.failed, *e.Trial)
	}
}

func (t *training) draw(now time.Time) (Drawing, []*Failure) {
	for _, i := range t.failed {
		if trial := &t.state.Trials[i]; trial.Phase == run.Failed {
			t.alike.add(trial, now)
		}
	}
	t.failed = t.failed[:0]
	t.facts.TensorBoard = Reachable(TensorBoard(t.state), t.proxy)
	return view.New(t.facts, t.state, now), t.alike.due(t.state, now)
}

func (t *training) request(ctx context.Context, r Request) (detached bool, err error) {
	if r.detaches(t.interrupt) {
		return true, nil
	}
	err = t.client.Stop(ctx, t.spec.Name, nil, r == Now || t.stopping)
	if hasEnded(err) {
		return false, nil
	}
	t.stopping = t.stopping || err == nil
	return false, err
}

func (t *training) end(detached bool) End {
	name, end := t.spec.Name, End{State: t.state}
	if t.state.Phase.Final() {
		_ = t.client.Runs.Seen(t.ctx, name) // a hint less is all that is lost
	}
	switch {
	case detached:
		end.Ending = Detached
		end.Text = fmt.Sprintf("%s goes on; `%%metaml attach %s` shows it again, `%%metaml stop %s` stops it", name,
			name, name)
	case t.state.Phase == run.Stopped && t.stopping:
		end.Ending, end.Text = Interrupted, name+" was stopped"
	case t.state.Phase == run.Stopped:
		end.Ending, end.Text = Stopped, name+" was stopped"
	case t.state.Phase == run.Failed:
		text, trial := verdict(t.state, name)
		end.Ending, end.Text = TrialsFailed, text
		if trial != nil && trial.Reason != run.ReasonDiffers { // the sentence is all that there is to it
			_, body := view.Failure(trial)
			end.Traceback = strings.Split(body, "\n")
		}
	}
	return end
}
