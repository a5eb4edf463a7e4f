package pod_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

func TestALineOfALogSaysWhatATrialReports(t *testing.T) {
	at := time.Unix(1e9, 0).UTC()
	for _, c := range []struct {
		name  string
		event run.Event
	}{
		{"a report", run.Event{
			Type: run.EventTrialReport, Trial: new(3), Attempt: 2, Step: new(7.0), Last: true,
			Metrics: run.Metrics{"loss": 0.5, "worst": math.NaN()},
		}},
		{"a note", run.Event{Type: run.EventNote, Code: "differs", Text: "`x` is\n1", Hint: "Use <it>."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.event.V, c.event.Time = 1, at
			line := pod.EncodeLine(c.event)
			if !bytes.HasPrefix(line, []byte("[metaml] {")) || bytes.IndexByte(line, '\n') != len(line)-1 {
				t.Errorf("the line is %q", line)
			}
			got, ok := pod.ParseLine(line[:len(line)-1])
			if diff := cmp.Diff(c.event, got, cmpopts.EquateNaNs()); diff != "" || !ok {
				t.Errorf("%v (-want +got):\n%s", ok, diff)
			}
		})
	}
}

func TestWhatIsNoLineOfThePod(t *testing.T) {
	for _, c := range []struct{ name, line string }{
		{"of the trial", "loss 0.5"},
		{"in the middle", `50% [metaml] {"type": "note"}`},
		{"no JSON", "[metaml] {"},
		{"another event", `[metaml] {"type": "trial.ended", "state": "succeeded"}`},
		{"too long", `[metaml] {"type": "note", "text": "` + strings.Repeat("x", pod.MaxLine) + `"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e, ok := pod.ParseLine([]byte(c.line)); ok {
				t.Errorf("it is %+v", e)
			}
		})
	}
}

func TestALineFits(t *testing.T) {
	many := run.Metrics{strings.Repeat("a", 9000): 1}
	for i := range 300 {
		many[fmt.Sprintf("metric %03d", i)] = float64(i)
	}
	long := strings.Repeat("\x01é", 9000)
	for _, c := range []struct {
		name  string
		event run.Event
		check func(e run.Event) bool
	}{
		{
			"with as many metrics as find a place",
			run.Event{Type: run.EventTrialReport, Metrics: many},
			func(e run.Event) bool { return len(e.Metrics) > 100 && e.Metrics["metric 099"] == 99 },
		},
		{
			"with the beginnings of texts",
			run.Event{Type: run.EventNote, Code: long, Text: long, Hint: long},
			func(e run.Event) bool { return strings.HasSuffix(e.Text, "…") && strings.HasSuffix(e.Hint, "…") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := pod.EncodeLine(c.event)
			e, ok := pod.ParseLine(line)
			if len(line) > pod.MaxLine || !ok || !c.check(e) {
				t.Errorf("%d bytes, %v: %s", len(line), ok, line)
			}
		})
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`[metaml] {"v":1,"type":"trial.report","step":1,"metrics":{"loss":"nan"}}`))
	f.Add(pod.EncodeLine(run.Event{Type: run.EventNote, Text: "text"}))
	f.Add([]byte("[metaml] {\"type\":\"note\",\"text\":\"\\u0001\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, ok := pod.ParseLine(data)
		if !ok {
			return
		}
		line := pod.EncodeLine(e)
		if _, ok := pod.ParseLine(line); !ok || len(line) > pod.MaxLine {
			t.Errorf("%q became %q", data, line)
		}
	})
}
