package engine_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/alike"
	"github.com/metaml/metaml/test/elsewhere"
)

// placed is a bench whose runs go to one of two targets, and are read and acted on as everybody does.
type placed struct {
	*bench
	client *deployer.Client
	at     deployer.Place
}

// onEachTarget runs a test on this machine, and on a target whose runs are elsewhere.
func onEachTarget(t *testing.T, test func(p *placed)) {
	t.Helper()
	for _, name := range []string{run.Local, elsewhere.Name} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			there := &bench{Target: local.In(filepath.Join(t.TempDir(), "there"), b.Agent), t: t, cwd: b.cwd}
			far := elsewhere.New(b.Dir, there.Dir, b.Agent)
			t.Cleanup(func() { b.waitFor("the mirrors to end", func() bool { return !far.Mirrors() }) })
			t.Cleanup(there.noneLeft)
			targets := map[string]deployer.Target{run.Local: deployer.Local(b.Target), elsewhere.Name: far}
			places := map[string]deployer.Place{run.Local: b.From(nil), elsewhere.Name: far.From(nil)}
			test(&placed{bench: b, client: deployer.NewClient(b.Dir, targets), at: places[name]})
		})
	}
}

func (p *placed) submitTo(spec run.Spec, source string, table []run.Row) string {
	p.t.Helper()
	done, err := p.at.Submit(p.t.Context(), run.Submission{Spec: spec, Program: p.program(source), Table: table}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return done.Spec.Name
}

// follow gives the types of all events after cursor, and the cursor after each, until the run has ended.
func (p *placed) follow(name, cursor string) (types, cursors []string) {
	p.t.Helper()
	err := p.client.Runs.Follow(p.t.Context(), name, cursor, func(e run.Event, after string) error {
		types, cursors = append(types, e.Type), append(cursors, after)
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return types, cursors
}

func (p *placed) load(name string) run.Listed {
	p.t.Helper()
	l, err := p.client.Runs.Load(p.t.Context(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

// alike is what the tests of every target need of it.
func (p *placed) alike() alike.Bench {
	return alike.Bench{Client: p.client, Place: p.at, Spec: p.spec, Keeps: true}
}

func TestARunIsReadAlikeWhereverItIs(t *testing.T) {
	onEachTarget(t, func(p *placed) { alike.Read(p.t, p.alike()) })
}

func TestARunIsStoppedResumedAndDeletedWhereverItIs(t *testing.T) {
	onEachTarget(t, func(p *placed) { alike.Control(p.t, p.alike()) })
}

func TestAServerIsReadAlikeWhereverItIs(t *testing.T) {
	onEachTarget(t, func(p *placed) {
		t, ctx := p.t, p.t.Context()
		spec := p.spec(1)
		spec.Kind, spec.Series, spec.Entry, spec.Retries = run.Serve, "serve", "serve", 0
		spec.Server = &run.ServerSpec{Path: "/predict", Host: "127.0.0.1", Example: "2"}
		name := p.submitTo(spec, "print('loaded')\ndef serve(x: int):\n    return 2 * x\n", nil)
		ctxReady, ready := context.WithCancelCause(ctx)
		_ = p.client.Runs.Follow(ctxReady, name, "", func(e run.Event, _ string) error {
			if e.Type == run.EventServerReady {
				ready(nil)
			}
			return nil
		})
		l := p.load(name)
		if l.State.Server == nil || l.State.Server.Revision != 1 || l.Liveness != run.Alive {
			t.Fatalf("it is %+v %s", l.State.Server, l.Liveness)
		}
		p.client.Runs.Ask(ctx, &l)
		if !l.Answers() {
			t.Errorf("it is %s", l.Health)
		}
		if of, err := p.client.Runs.RevisionSpec(name, 1); err != nil || of.Entry != "serve" {
			t.Errorf("revision 1 is %v, %v", of, err)
		}
		if err := p.client.StopRevision(ctx, name, 1); err == nil {
			t.Error("a revision that answers was given up")
		}
		if err := p.client.Stop(ctx, name, nil, false); err != nil {
			t.Fatal(err)
		}
		p.follow(name, "")
		if l := p.load(name); l.State.Phase != run.Stopped {
			t.Errorf("stopped: %s", l.State.Phase)
		}
	})
}
