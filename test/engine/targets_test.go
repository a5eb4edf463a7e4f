package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
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

func TestARunIsReadAlikeWhereverItIs(t *testing.T) {
	onEachTarget(t, func(p *placed) {
		t, ctx := p.t, p.t.Context()
		name := p.submitTo(p.spec(2), `
import metaml
def train(x):
    print("x is", x)
    (metaml.output() / "model.txt").write_text(str(x))
    metaml.report(1, loss=x)
    return {"loss": x}
`, rows("x", 3, 5))
		types, cursors := p.follow(name, "")
		if types[len(types)-1] != run.EventEnded {
			t.Fatalf("the last of %v", types)
		}
		half := len(types) / 2
		if rest, _ := p.follow(name, cursors[half-1]); strings.Join(rest, " ") != strings.Join(types[half:], " ") {
			t.Errorf("after a cursor came %v, want %v", rest, types[half:])
		}
		for _, given := range []string{name, "train", "train-", "last"} {
			l := p.load(given)
			if l.Spec.Name != name || l.State.Phase != run.Succeeded || l.Liveness != run.Ended {
				t.Errorf("%q is %s %s %s", given, l.Spec.Name, l.State.Phase, l.Liveness)
			}
		}
		all, err := p.client.Runs.List(ctx)
		if err != nil || len(all) != 1 || all[0].Spec.Name != name || all[0].State.Phase != run.Succeeded {
			t.Errorf("listed %v, %v", all, err)
		}
		var log strings.Builder
		if err := p.client.Runs.Log(ctx, name, 1, 0, "stdout", true, &log); err != nil || log.String() != "x is 5\n" {
			t.Errorf("log %q, %v", log.String(), err)
		}
		table, err := p.client.Runs.Table(ctx, name)
		if err != nil || len(table) != 2 || string(table[1][0].Value) != "5" {
			t.Errorf("table %v, %v", table, err)
		}
		dir, err := p.client.Runs.Outputs(ctx, name, 1)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "model.txt")); err != nil || string(text) != "5" {
			t.Errorf("output %q, %v", text, err)
		}
		if m, err := p.client.Model(ctx, name+":0"); err != nil || m.Name != name+":0" {
			t.Errorf("model %+v, %v", m, err)
		}
	})
}

func TestARunIsStoppedResumedAndDeletedWhereverItIs(t *testing.T) {
	onEachTarget(t, func(p *placed) {
		t, ctx := p.t, p.t.Context()
		marker := filepath.Join(t.TempDir(), "go")
		name := p.submitTo(p.spec(2), `
import os, time
def train():
    while not os.path.exists(`+"'"+marker+"'"+`):
        time.sleep(0.01)
    return {"loss": 1}
`, nil)
		p.waitFor("both trials to run", func() bool { return p.load(name).State.Count().Running == 2 })
		first := 0
		if err := p.client.Stop(ctx, name, &first, true); err != nil {
			t.Fatal(err)
		}
		p.waitFor("one trial to stop", func() bool { return p.load(name).State.Trials[0].Phase == run.Stopped })
		if err := p.client.Delete(ctx, name); err == nil || !strings.Contains(err.Error(), "is still going") {
			t.Errorf("deleted an active run: %v", err)
		}
		if err := p.client.Stop(ctx, name, nil, true); err != nil {
			t.Fatal(err)
		}
		p.follow(name, "")
		if l := p.load(name); l.State.Phase != run.Stopped || l.Liveness != run.Ended {
			t.Fatalf("stopped: %s %s", l.State.Phase, l.Liveness)
		}
		if err := os.WriteFile(marker, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.client.Resume(ctx, name); err != nil {
			t.Fatal(err)
		}
		p.waitFor("the run to succeed", func() bool { return p.load(name).State.Phase == run.Succeeded })
		if err := p.client.Runs.Seen(ctx, name); err != nil {
			t.Error(err)
		}
		p.waitFor("the run to be deleted", func() bool { return p.client.Delete(ctx, name) == nil })
		if _, err := p.client.Runs.Load(ctx, name); err == nil {
			t.Error("it is still there")
		}
	})
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
