package saved_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/saved"
	"github.com/metaml/metaml/deployer/run"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// aRun makes the folder of a run: each of its trials reports, prints and succeeds.
func aRun(tb testing.TB, trials, reports, printed int) (folder.Run, run.Spec) {
	tb.Helper()
	spec := run.Spec{
		V: 1, ID: "one", Name: "train-1", Kind: run.Train, Completions: trials, Parallelism: trials, Created: start,
	}
	f := folder.Run(tb.TempDir())
	file, err := f.OpenEvents()
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	log, err := folder.OpenLog(file, func(run.Event) {})
	if err != nil {
		tb.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	add := func(e run.Event) {
		e.V, e.Source, e.Run, e.Time = 1, "cluster", spec.Name, start.Add(time.Duration(log.Last())*time.Millisecond)
		if err := log.Append(&e); err != nil {
			tb.Fatal(err)
		}
	}
	add(run.Event{Type: run.EventPlanned, Completions: trials, Parallelism: trials})
	add(run.Event{Type: run.EventNote, Code: run.NoteTensorBoard, Text: "http://127.0.0.1:6006"})
	for i := range trials {
		add(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1})
		for range reports {
			add(run.Event{
				Type: run.EventTrialReport, Trial: &i, Attempt: 1, Metrics: run.Metrics{"loss": chance.Float64()},
			})
		}
		add(run.Event{Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: run.Succeeded, Output: "/here"})
		path := f.Stream(i, 1, folder.Stdout)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		var text bytes.Buffer
		for line := 0; text.Len() < printed; line++ {
			fmt.Fprintf(&text, "line %d %x\n", line, chance.Uint64())
		}
		if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return f, spec
}

func packer(f folder.Run, spec run.Spec) *saved.Packer {
	return &saved.Packer{Folder: f, Run: spec.ID, Pod: func(id run.AttemptID) string {
		return fmt.Sprintf("pod-%d-%d", id.Trial, id.Number)
	}}
}

func stateOf(tb testing.TB, f folder.Run, spec run.Spec) *run.State {
	tb.Helper()
	s := run.NewState(spec)
	if err := f.EachEvent(func(e run.Event) error { s.Apply(e); return nil }); err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestARecordIsWholeElsewhere(t *testing.T) {
	f, spec := aRun(t, 3, 50, 100)
	data, err := packer(f, spec).Pack()
	if err != nil {
		t.Fatal(err)
	}
	there := folder.Run(t.TempDir())
	head, err := saved.Unpack(data, spec, there)
	if err != nil {
		t.Fatal(err)
	}
	if want := (saved.Attempt{Trial: 1, Number: 1, Pod: "pod-1-1"}); head.Reports != 0 || head.Attempts[1] != want {
		t.Errorf("it says %+v", head)
	}
	want, got := stateOf(t, f, spec), stateOf(t, there, spec)
	for i := range want.Trials {
		w, g := &want.Trials[i], &got.Trials[i]
		if g.Phase != run.Succeeded || g.LastOnly || !slices.Equal(g.Series["loss"].Values, w.Series["loss"].Values) {
			t.Errorf("trial %d is %+v", i, g)
		}
		a, err1 := os.ReadFile(f.Stream(i, 1, folder.Stdout))
		b, err2 := os.ReadFile(there.Stream(i, 1, folder.Stdout))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(a, b) {
			t.Errorf("trial %d printed %q, %v", i, b, err)
		}
		if g.Output != "" {
			t.Errorf("trial %d has its files at %s, which is a folder of another machine", i, g.Output)
		}
	}
	if len(got.Notes) != 0 {
		t.Errorf("a TensorBoard of another machine is named: %+v", got.Notes)
	}
}

// What is too much is left out, the course of metrics last: states and ends never are.
func TestWhatIsTooMuchIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		name                     string
		trials, reports, printed int
		wholeCourse              bool
	}{
		{"much is printed", 40, 10, 200 << 10, true},
		{"much is reported", 20, 6000, 1000, false},
		{"many trials", 1000, 100, 300, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, spec := aRun(t, c.trials, c.reports, c.printed)
			data, err := packer(f, spec).Pack()
			if err != nil || len(data) > saved.MaxSize {
				t.Fatalf("%d bytes, %v", len(data), err)
			}
			there := folder.Run(t.TempDir())
			head, err := saved.Unpack(data, spec, there)
			if err != nil || (head.Reports == 0) != c.wholeCourse {
				t.Fatalf("it says %+v, %v", head, err)
			}
			want, got := stateOf(t, f, spec), stateOf(t, there, spec)
			for i := range want.Trials {
				w, g := &want.Trials[i], &got.Trials[i]
				if g.Phase != run.Succeeded || g.Metrics["loss"] != w.Metrics["loss"] || g.LastOnly == c.wholeCourse {
					t.Fatalf("trial %d is %+v, want %+v", i, g, w)
				}
			}
			text, err := os.ReadFile(there.Stream(c.trials-1, 1, folder.Stdout))
			if c.wholeCourse && (err != nil || !strings.HasPrefix(string(text), "[… ") ||
				!strings.Contains(string(text), "kB left out …]\nline ")) {
				t.Errorf("of what was printed there is %.60q, %v", text, err)
			}
		})
	}
}

func TestAnothersRecordIsRefused(t *testing.T) {
	f, spec := aRun(t, 2, 1, 10)
	data, err := packer(f, spec).Pack()
	if err != nil {
		t.Fatal(err)
	}
	other, fewer := spec, spec
	other.ID, fewer.Completions = "two", 1
	for _, c := range []struct {
		name string
		spec run.Spec
		data []byte
		says string
	}{
		{"another run", other, data, "another run's"},
		{"more trials than the run has", fewer, data, "the run has no"},
		{"cut", spec, data[:len(data)/2], "unexpected EOF"},
		{"nothing", spec, nil, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := saved.Unpack(c.data, c.spec, folder.Run(t.TempDir())); err == nil ||
				!strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// Whoever may write ConfigMaps of the namespace may have written it.
func FuzzUnpack(f *testing.F) {
	from, spec := aRun(f, 2, 2, 50)
	data, err := packer(from, spec).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		into := filepath.Join(parent, "run")
		if err := os.Mkdir(into, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := saved.Unpack(data, spec, folder.Run(into)); err != nil {
			return
		}
		stateOf(t, folder.Run(into), spec)
		if err := filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !strings.HasPrefix(path, into+"/") || e.Type()&fs.ModeSymlink != 0 {
				t.Errorf("it made %s", path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
