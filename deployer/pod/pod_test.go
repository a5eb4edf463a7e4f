package pod_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

func TestTheExitCodeTellsTheJobWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name             string
		trial            run.Trial
		stopped, evicted bool
		want             int
	}{
		{"success", run.Trial{Phase: run.Succeeded}, false, false, 0},
		{"success although it was stopped", run.Trial{Phase: run.Succeeded}, true, true, 0},
		{"its code raised", run.Trial{Phase: run.Failed, Reason: run.ReasonException}, false, false, 42},
		{"sys.exit", run.Trial{Phase: run.Failed, Reason: run.ReasonExit, Exit: new(3)}, false, false, 42},
		{"it took too long", run.Trial{Phase: run.Failed, Reason: run.ReasonTimeout, Exit: new(143)}, false, false, 42},
		{"it was killed", run.Trial{Phase: run.Failed, Reason: run.ReasonSignal, Exit: new(137)}, false, false, 137},
		{"the disk is full", run.Trial{Phase: run.Failed, Reason: run.ReasonDisk}, false, false, 43},
		{"its supervisor is gone", run.Trial{Phase: run.Failed, Reason: run.ReasonLost}, false, false, 43},
		{"ours", run.Trial{Phase: run.Failed, Reason: run.ReasonInternal}, false, false, 43},
		{"nothing runs in its image", run.Trial{Phase: run.Failed, Reason: run.ReasonImage}, false, false, 44},
		{"the top level raised", run.Trial{Phase: run.Failed, Reason: run.ReasonProgram}, false, false, 44},
		{"stopped", run.Trial{Phase: run.Stopped, Reason: run.ReasonStopped}, true, false, 45},
		{"stopped and then deleted", run.Trial{Phase: run.Stopped, Reason: run.ReasonStopped}, true, true, 45},
		{"evicted", run.Trial{Phase: run.Stopped, Reason: run.ReasonStopped}, false, true, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := pod.ExitCode(&c.trial, c.stopped, c.evicted); got != c.want {
				t.Errorf("the exit code is %d, want %d", got, c.want)
			}
		})
	}
}

func TestAMessageFitsAndSaysWhatMattersMost(t *testing.T) {
	metrics := run.Metrics{}
	for i := range 300 {
		metrics[fmt.Sprintf("metric %d", i)] = float64(i)
	}
	frames := make([]run.Frame, 100)
	for i := range frames {
		frames[i] = run.Frame{File: fmt.Sprintf("file%d.py", i), Line: i}
	}
	long := strings.Repeat("é", 9000)
	for _, c := range []struct {
		name  string
		trial run.Trial
		check func(m pod.Message) bool
	}{
		{
			"a short one is whole",
			run.Trial{Metrics: run.Metrics{"loss": 1}, Error: &run.Error{Type: "ValueError", Traceback: "here"}},
			func(m pod.Message) bool { return !m.Cut && m.Error.Traceback == "here" && m.Metrics["loss"] == 1 },
		},
		{
			"the traceback goes first",
			run.Trial{
				Metrics: run.Metrics{"loss": 1}, Error: &run.Error{Text: "no", Frames: frames[:2], Traceback: long},
			},
			func(m pod.Message) bool {
				return m.Cut && m.Error.Text == "no" && len(m.Error.Frames) == 2 && m.Metrics["loss"] == 1
			},
		},
		{
			"then the outer frames",
			run.Trial{Metrics: run.Metrics{"loss": 1}, Error: &run.Error{Text: "no", Frames: frames}},
			func(m pod.Message) bool {
				n := len(m.Error.Frames)
				return n > 5 && n < 100 && m.Error.Frames[n-1].Line == 99 && m.Metrics["loss"] == 1
			},
		},
		{
			"then metrics",
			run.Trial{Metrics: metrics, Error: &run.Error{Text: "no", Frames: frames[:1]}},
			func(m pod.Message) bool { return m.Metrics == nil && len(m.Error.Frames) == 1 },
		},
		{
			"then the ends of texts",
			run.Trial{Text: long, Error: &run.Error{Type: long, Text: long}},
			func(m pod.Message) bool {
				return strings.HasSuffix(m.Error.Text, "é…") && strings.HasPrefix(m.Text, "éé")
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.trial.Index, c.trial.Attempt, c.trial.Phase, c.trial.Seed = 7, 2, run.Failed, new(int64(5))
			data := pod.Of(&c.trial).Encode()
			m, ok := pod.Decode(string(data))
			if len(data) > pod.MaxMessage || !ok || m.Trial != 7 || m.Attempt != 2 || m.State != run.Failed ||
				*m.Seed != 5 {
				t.Fatalf("%d bytes, %v: %s", len(data), ok, data)
			}
			if !c.check(m) {
				t.Errorf("it says %s", data)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(string(pod.Of(&run.Trial{Attempt: 1}).Encode()))
	f.Add("Error: no such file")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := pod.Decode(text); ok && len(m.Encode()) > pod.MaxMessage {
			t.Errorf("%q is a message of %d bytes", text, len(m.Encode()))
		}
	})
}
