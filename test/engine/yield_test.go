package engine_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// TestAFunctionThatYields runs functions whose call alone runs nothing: what they yield is reported, what they return
// is the result.
func TestAFunctionThatYields(t *testing.T) {
	const reported = "0:0.5 1:0.25 <nil>:value=7"
	for _, c := range []struct {
		name, source, reports, metrics, note string
	}{
		{"a generator", `
def train():
    for e in range(2):
        yield {"step": e, "loss": 0.5 / (e + 1), "name": "x"}
    yield
    yield 7
    return {"accuracy": 0.9}
`, reported, "map[accuracy:0.9 loss:0.25 value:7]", "not reported, since not numbers: name"},
		{
			"without a result", "def train():\n    yield {\"loss\": 2}\n    yield {\"loss\": 1}\n", "<nil>:2 <nil>:1",
			"map[loss:1]", "",
		},
		{"an async generator", `
import asyncio
async def train():
    for e in range(2):
        await asyncio.sleep(0)
        yield {"step": e, "loss": 0.5 / (e + 1)}
    yield 7
`, reported, "map[loss:0.25 value:7]", ""},
		{
			"a coroutine",
			"import asyncio\nasync def train():\n    await asyncio.sleep(0)\n    return {\"accuracy\": 0.9}\n", "",
			"map[accuracy:0.9]", "",
		},
		{
			"no numbers", "def train():\n    yield \"epoch\"\n    yield \"another\"\n", "", "map[]",
			"the function yielded a str, not numbers: 'epoch'",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			l := b.run(b.spec(1), c.source, nil)
			var reports []string
			if err := b.events(l.Spec.Name, func(e run.Event) error {
				if e.Type == run.EventTrialReport {
					reports = append(reports, reportText(e))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			trial := l.State.Trials[0]
			if got := fmt.Sprint(map[string]float64(trial.Metrics)); trial.Phase != run.Succeeded || got != c.metrics {
				t.Errorf("%s with %s", trial.Phase, got)
			}
			if got := fmt.Sprint(reports); got != "["+c.reports+"]" {
				t.Errorf("reported %s", got)
			}
			if c.note != "" && !hasNote(l, 0, c.note) || len(l.State.Notes) > 1 {
				t.Errorf("noted %+v", l.State.Notes)
			}
			if t.Failed() {
				t.Log(b.describe(l))
			}
		})
	}
}

func reportText(e run.Event) string {
	step := "<nil>"
	if e.Step != nil {
		step = fmt.Sprint(*e.Step)
	}
	if v, ok := e.Metrics["loss"]; ok {
		return fmt.Sprintf("%s:%v", step, v)
	}
	return fmt.Sprintf("%s:value=%v", step, e.Metrics["value"])
}

// TestAStopReachesAFunctionThatYields lets it save something.
func TestAStopReachesAFunctionThatYields(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), `
import metaml, os, time
def train():
    try:
        while True:
            yield {"loss": 1}
            time.sleep(0.01)
    except KeyboardInterrupt:
        (metaml.output() / "saved").write_text("yes")
        raise
`, nil)
	b.waitForEvent(name, "a report", func(e run.Event) bool { return e.Type == run.EventTrialReport })
	if err := b.Stop(t.Context(), name, nil, false); err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	entries, _ := os.ReadDir(b.Folder(name).Output(0))
	if l.State.Phase != run.Stopped || !slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == "saved"
	}) {
		t.Error(entries, b.describe(l))
	}
}
