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
		{"a note of a server", run.Event{Type: run.EventNote, Revision: 2, Code: "service", Text: "reached"}},
		{"a revision that was loaded", run.Event{
			Type: run.EventLoaded, Revision: 2, Seconds: 1.5, Causes: []string{"it started a thread"},
		}},
		{"a revision that is ready", run.Event{
			Type: run.EventServerReady, Revision: 2, Seconds: 2.5, Answer: 0.25, Example: `{"x": 1}`,
		}},
		{"a revision that failed", run.Event{
			Type: run.EventServerFailed, Revision: 2, Reason: run.ReasonTest, Text: "no", Hint: "Use <it>.",
			Error: &run.Error{Type: "ValueError", Text: "no", Traceback: "here"},
		}},
		{"the end of a worker", run.Event{
			Type: run.EventWorkerEnded, Revision: 2, Worker: new(0), Attempt: 4, Reason: run.ReasonSignal,
			Exit: new(137), Text: "killed", Error: &run.Error{Type: "ValueError", Text: "no"},
		}},
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
	frames := make([]run.Frame, 100)
	for i := range frames {
		frames[i] = run.Frame{File: fmt.Sprintf("file%d.py", i), Line: i}
	}
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
		{
			"with an error without its traceback",
			run.Event{Type: run.EventServerFailed, Error: &run.Error{Type: "E", Text: "no", Traceback: long}},
			func(e run.Event) bool { return e.Error.Type == "E" && e.Error.Text == "no" && e.Error.Traceback == "" },
		},
		{
			"with the inner frames of an error",
			run.Event{Type: run.EventWorkerEnded, Worker: new(1), Error: &run.Error{Text: "no", Frames: frames}},
			func(e run.Event) bool {
				n := len(e.Error.Frames)
				return n > 5 && e.Error.Frames[n-1].Line == 99 && *e.Worker == 1
			},
		},
		{
			"with the beginnings of all texts of a failure",
			run.Event{Type: run.EventServerFailed, Text: long, Hint: long, Error: &run.Error{Type: long, Text: long}},
			func(e run.Event) bool {
				return strings.HasSuffix(e.Error.Text, "…") && strings.HasSuffix(e.Text, "…")
			},
		},
		{
			"without an example that is too long",
			run.Event{Type: run.EventServerReady, Revision: 3, Example: long},
			func(e run.Event) bool { return e.Revision == 3 && e.Example == "" },
		},
		{
			"with the beginnings of causes",
			run.Event{Type: run.EventLoaded, Causes: []string{long, long, long, long}},
			func(e run.Event) bool { return len(e.Causes) == 3 && strings.HasSuffix(e.Causes[2], "…") },
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
	f.Add(pod.EncodeLine(run.Event{
		Type: run.EventServerFailed, Revision: 1, Reason: run.ReasonTest, Text: "no", Error: &run.Error{Type: "E"},
	}))
	f.Add(pod.EncodeLine(run.Event{Type: run.EventWorkerEnded, Worker: new(1), Exit: new(9)}))
	f.Add(pod.EncodeLine(run.Event{Type: run.EventServerReady, Example: "1", Answer: 0.5}))
	f.Add([]byte(`[metaml] {"type":"run.loaded","causes":["\u0001"],"fork":true}`))
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
