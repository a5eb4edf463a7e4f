// Package alike has the tests that runs pass on every target: they are read and acted on alike wherever they are. Who
// tests a target gives it a [Bench] and calls [Read] and [Control].
package alike

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
)

// Bench is a target as its tests have it: nobody else has runs there.
type Bench struct {
	Client *deployer.Client
	Place  deployer.Place
	// Spec gives a run of so many trials of the function train in main.py, two at a time.
	Spec func(trials int) run.Spec
	// Keeps says that what trials write into metaml.output() is kept.
	Keeps bool
}

// submit starts a run of a program and gives its name.
func (b Bench) submit(t *testing.T, spec run.Spec, source string, table []run.Row) string {
	t.Helper()
	done, err := b.Place.Submit(t.Context(), run.Submission{Spec: spec, Program: Program(t, source), Table: table},
		func(run.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	return done.Spec.Name
}

// Program writes a program folder.
func Program(t *testing.T, source string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "program")
	code := filepath.Join(folder, "code")
	if err := os.MkdirAll(code, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(code, "main.py"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Rows makes a table of hyperparameters with one column.
func Rows[T any](name string, values ...T) []run.Row {
	var table []run.Row
	for _, v := range values {
		text, _ := json.Marshal(v) // a plain value
		table = append(table, run.Row{{Name: name, Value: text}})
	}
	return table
}

// follow gives the types of all events after cursor, and the cursor after each, until the run has ended.
func (b Bench) follow(t *testing.T, name, cursor string) (types, cursors []string) {
	t.Helper()
	err := b.Client.Runs.Follow(t.Context(), name, cursor, func(e run.Event, after string) error {
		types, cursors = append(types, e.Type), append(cursors, after)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return types, cursors
}

func (b Bench) load(t *testing.T, name string) run.Listed {
	t.Helper()
	l, err := b.Client.Runs.Load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (b Bench) waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Read submits a run and reads it in every way there is.
func Read(t *testing.T, b Bench) {
	t.Helper()
	ctx := t.Context()
	name := b.submit(t, b.Spec(2), `
import metaml
def train(x):
    print("x is", x)
    (metaml.output() / "model.txt").write_text(str(x))
    metaml.report(1, loss=x)
    return {"loss": x}
`, Rows("x", 3, 5))
	types, cursors := b.follow(t, name, "")
	if types[len(types)-1] != run.EventEnded {
		t.Fatalf("the last of %v", types)
	}
	half := len(types) / 2
	if rest, _ := b.follow(t, name, cursors[half-1]); strings.Join(rest, " ") != strings.Join(types[half:], " ") {
		t.Errorf("after a cursor came %v, want %v", rest, types[half:])
	}
	for _, given := range []string{name, "train", "train-", "last"} {
		l := b.load(t, given)
		if l.Spec.Name != name || l.State.Phase != run.Succeeded || l.Liveness != run.Ended {
			t.Errorf("%q is %s %s %s", given, l.Spec.Name, l.State.Phase, l.Liveness)
		}
	}
	if l := b.load(t, name); l.State.Trials[1].Metrics["loss"] != 5 || l.State.Trials[1].Attempt != 1 {
		t.Errorf("trial 1 is %+v", l.State.Trials[1])
	}
	all, err := b.Client.Runs.List(ctx)
	if err != nil || len(all) != 1 || all[0].Spec.Name != name || all[0].State.Phase != run.Succeeded {
		t.Errorf("listed %v, %v", all, err)
	}
	var log strings.Builder
	if err := b.Client.Runs.Log(ctx, name, 1, 0, "stdout", true, &log); err != nil || log.String() != "x is 5\n" {
		t.Errorf("log %q, %v", log.String(), err)
	}
	table, err := b.Client.Runs.Table(ctx, name)
	if err != nil || len(table) != 2 || string(table[1][0].Value) != "5" {
		t.Errorf("table %v, %v", table, err)
	}
	b.readOutputs(t, name)
}

// readOutputs reads what trial 1 wrote, or hears why that is not kept.
func (b Bench) readOutputs(t *testing.T, name string) {
	t.Helper()
	dir, err := b.Client.Runs.Outputs(t.Context(), name, 1)
	if kept := b.Client.Runs.Kept(name); (err == nil) != b.Keeps || (kept == nil) != b.Keeps {
		t.Fatalf("outputs: %v, and kept: %v", err, kept)
	}
	if m, err := b.Client.Model(t.Context(), name+":0"); (err == nil) != b.Keeps || b.Keeps && m.Name != name+":0" {
		t.Errorf("model %+v, %v", m, err)
	}
	if !b.Keeps {
		return
	}
	if text, err := os.ReadFile(filepath.Join(dir, "model.txt")); err != nil || string(text) != "5" {
		t.Errorf("output %q, %v", text, err)
	}
}

// Control stops a trial, stops the run, resumes and deletes it.
func Control(t *testing.T, b Bench) {
	t.Helper()
	ctx := t.Context()
	name := b.submit(t, b.Spec(2), `
import time
import metaml
def train():
    while metaml.attempt() == 1:
        time.sleep(0.01)
    return {"loss": 1}
`, nil)
	b.waitFor(t, "both trials to run", func() bool { return b.load(t, name).State.Count().Running == 2 })
	first := 0
	if err := b.Client.Stop(ctx, name, &first, true); err != nil {
		t.Fatal(err)
	}
	b.waitFor(t, "one trial to stop", func() bool { return b.load(t, name).State.Trials[0].Phase == run.Stopped })
	if err := b.Client.Delete(ctx, name); err == nil || !strings.Contains(err.Error(), "is still going") {
		t.Errorf("deleted an active run: %v", err)
	}
	if err := b.Client.Stop(ctx, name, nil, true); err != nil {
		t.Fatal(err)
	}
	b.follow(t, name, "")
	if l := b.load(t, name); l.State.Phase != run.Stopped || l.Liveness != run.Ended {
		t.Fatalf("stopped: %s %s", l.State.Phase, l.Liveness)
	}
	if err := b.Client.Resume(ctx, name); err != nil {
		t.Fatal(err)
	}
	b.waitFor(t, "the run to succeed", func() bool { return b.load(t, name).State.Phase == run.Succeeded })
	if err := b.Client.Runs.Seen(ctx, name); err != nil {
		t.Error(err)
	}
	b.waitFor(t, "the run to be deleted", func() bool { return b.Client.Delete(ctx, name) == nil })
	if _, err := b.Client.Runs.Load(ctx, name); err == nil {
		t.Error("it is still there")
	}
}
