package view_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// sample is a run of four trials at 42 s: one is best, one failed, one is running, one waits.
func sample(t *testing.T) (view.Facts, *run.State) {
	t.Helper()
	spec := run.Spec{Name: "train-model-7", Completions: 4, Parallelism: 2, Created: start}
	var table []run.Row
	for i := range 4 {
		table = append(table, run.Row{
			{Name: "learning_rate", Value: json.RawMessage(fmt.Sprintf("%g", 0.412+float64(i)))},
			{Name: "hidden_layer_size", Value: json.RawMessage("256")},
			{Name: "activation", Value: json.RawMessage(`"<relu> & co"`)},
		})
	}
	s := run.NewState(spec)
	seq := int64(0)
	apply := func(at time.Duration, e run.Event) {
		seq++
		e.Seq, e.Source, e.Time = seq, "monitor", start.Add(at)
		if !s.Apply(e) {
			t.Fatalf("event %d was not new", seq)
		}
	}
	trial := func(i int) *int { return &i }
	for i := range 3 {
		apply(time.Duration(i)*time.Second, run.Event{Type: run.EventTrialStarted, Trial: trial(i), Attempt: 1})
	}
	for step, accuracy := range []float64{0.4, 0.7, 0.9, 0.95, 0.972} {
		x := float64(step)
		apply(3*time.Second, run.Event{
			Type: run.EventTrialReport, Trial: trial(0), Attempt: 1, Step: &x,
			Metrics: run.Metrics{"accuracy": accuracy, "loss": 1 - accuracy},
		})
		apply(3*time.Second, run.Event{
			Type: run.EventTrialReport, Trial: trial(2), Attempt: 1, Step: &x,
			Metrics: run.Metrics{"accuracy": accuracy / 2, "loss": math.NaN()},
		})
	}
	apply(9800*time.Millisecond, run.Event{
		Type: run.EventTrialEnded, Trial: trial(0), Attempt: 1, State: run.Succeeded,
		Metrics: run.Metrics{"accuracy": 0.972},
	})
	apply(10*time.Second, run.Event{
		Type: run.EventTrialEnded, Trial: trial(1), Attempt: 1, State: run.Failed, Reason: run.ReasonException,
		Error: &run.Error{Type: "ValueError", Text: "learning_rate must be positive, got <-0.118>", Frames: []run.Frame{
			{
				File: "main.py", Line: 40, Function: "train_model", Text: "    opt = SGD(learning_rate)", Cell: 6,
				CellLine: 4, Mine: true,
			},
			{
				File: "main.py", Line: 12, Function: "SGD", Text: "raise ValueError(…)", Cell: 2, CellLine: 11,
				Mine: true,
			},
		}},
	})
	apply(11*time.Second, run.Event{
		Type: run.EventNote, Code: "files", Text: "`model.keras` was written by several trials",
		Hint: "Write to metaml.output().",
	})
	return view.Facts{Spec: spec, Table: table, Interrupt: "stop", TensorBoard: "http://127.0.0.1:6006/"}, s
}

func TestTextIsTheSameRunAsHTML(t *testing.T) {
	facts, state := sample(t)
	table := view.New(facts, state, start.Add(42*time.Second))
	golden(t, "running.txt", table.Text()+"\n")
	golden(t, "running.html", "<!doctype html><meta charset=utf-8>\n"+table.HTML()+"\n")
	golden(t, "terminal.txt", strings.Join(table.Terminal(100, 40, false), "\n")+"\n")
}

func TestFailureIsTheUsersOwnError(t *testing.T) {
	_, state := sample(t)
	summary, body := view.Failure(&state.Trials[1])
	golden(t, "failure.txt", summary+"\n\n"+body+"\n")
}

func TestTextFromUserCodeIsEscaped(t *testing.T) {
	facts, state := sample(t)
	html := view.New(facts, state, start).HTML()
	if strings.Contains(html, "<relu>") || strings.Contains(html, "<-0.118>") {
		t.Error("text from user code reached the HTML unescaped")
	}
}

func TestALargeRunStaysSmall(t *testing.T) {
	spec := run.Spec{Name: "big-1", Completions: 10_000, Parallelism: 4, Created: start}
	s := run.NewState(spec)
	table := make([]run.Row, spec.Completions)
	for i := range spec.Completions {
		table[i] = run.Row{{Name: "text", Value: json.RawMessage(`"` + strings.Repeat("é", 500) + `"`)}}
		s.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: run.Succeeded,
			Metrics: run.Metrics{"loss": float64(i)},
		})
	}
	html := view.New(view.Facts{Spec: spec, Table: table}, s, start).HTML()
	s.Apply(run.Event{Type: run.EventEnded, State: run.Succeeded})
	over := view.New(view.Facts{Spec: spec, Table: table}, s, start).HTML()
	for when, html := range map[string]string{"running": html, "over": over} {
		t.Run(when, func(t *testing.T) {
			if len(html) > 64<<10 {
				t.Errorf("%s: an update has %d bytes, want at most 64 KiB", when, len(html))
			}
		})
	}
	if !strings.Contains(over, "of 10,000 trials, the best first</summary>") {
		t.Error("the trials that fit cannot be unfolded")
	}
	if got := strings.Count(html, "<tr"); got > 21 {
		t.Errorf("%d rows are shown, want at most 20 and a header", got)
	}
	if !strings.Contains(html, "best <b style=\"color:var(--fg)\">loss 0</b> (trial 0)") {
		t.Error("the best trial is not in the first line")
	}
}

func TestNumbersAndSpans(t *testing.T) {
	for v, want := range map[float64]string{
		0.97222: "0.972", 12.345: "12.3", 3: "3", 1e-7: "1.00e-07",
		math.Inf(-1): "-∞", 0.00512: "0.00512", 0.0125: "0.0125", 0.000256: "0.000256", 1234567.8: "1.23e+06",
		1234567: "1234567", 128: "128",
	} {
		t.Run(want, func(t *testing.T) {
			if got := view.Number(v); got != want {
				t.Errorf("Number(%v) = %q, want %q", v, got, want)
			}
		})
	}
	for d, want := range map[time.Duration]string{
		340 * time.Millisecond: "340 ms", 9800 * time.Millisecond: "9.8 s",
		42 * time.Second: "42 s", 200 * time.Second: "3 min 20 s", 2 * time.Hour: "2 h", 76 * time.Hour: "3 d 4 h",
	} {
		t.Run(want, func(t *testing.T) {
			if got := prose.Duration(d); got != want {
				t.Errorf("prose.Duration(%v) = %q, want %q", d, got, want)
			}
		})
	}
	for raw, want := range map[string]string{
		`0.30000000000000004`: "0.3", `3`: "3", `{"$":"tuple","v":[1,2.5]}`: "(1, 2.5)", `null`: "None", `true`: "True",
		`"a\nb"`: "a b", `{"$":"ref","v":"torch.optim:SGD"}`: "torch.optim:SGD",
		`"None"`: "'None'", `"1"`: "'1'", `"1e5"`: "'1e5'", `"True"`: "'True'", `"nan"`: "'nan'", `""`: "''",
		`"adam"`: "adam", `["1",1]`: "['1', 1]", `{"a":1}`: "{a: 1}",
		`{"$":"bytes","v":"eA=="}`: "b'x'", `{"$":"bytes","v":"/wAn"}`: `b'\xff\x00\x27'`, `{"$":"bytes","v":"?"}`: "?",
		`{"$":"tuple","v":[64]}`: "(64,)", `[64]`: "[64]", `64.0`: "64.0", `1234567`: "1234567", `1e-05`: "1e-05",
		`2.50`: "2.5", `0.0125`: "0.0125", `0.05`: "0.05", `1e+300`: "1e+300",
	} {
		t.Run(raw, func(t *testing.T) {
			if got := view.Value(json.RawMessage(raw)); got != want {
				t.Errorf("Value(%s) = %q, want %q", raw, got, want)
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; -update writes it anew)\n%s", name, d)
	}
}
