package run_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhyAndHowAnAttemptEnded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		end       run.AttemptEnd
		reason    run.Reason
		text, how string
	}{
		{"signal", run.AttemptEnd{Signal: 9}, run.ReasonSignal, "ended by signal 9 (killed)", "by signal 9 (killed)"},
		{"exit", run.AttemptEnd{Exit: 3}, run.ReasonExit, "ended with exit status 3", "with exit status 3"},
		{
			"lost",
			run.AttemptEnd{Lost: true},
			run.ReasonLost,
			"the process that the worker was forked from was killed",
			"because the process that the worker was forked from was killed",
		},
		{
			"ours, in words that begin as those of a plain end",
			run.AttemptEnd{Internal: "ended too soon"},
			run.ReasonInternal,
			"ended too soon", "because ended too soon",
		},
		{
			"ours, with a reason",
			run.AttemptEnd{Internal: "no room", Reason: run.ReasonDisk},
			run.ReasonDisk,
			"no room", "because no room",
		},
		{"exception", run.AttemptEnd{Error: &run.Error{Type: "ValueError"}, Exit: 1}, run.ReasonException, "", ""},
		{"sys.exit", run.AttemptEnd{Error: &run.Error{Origin: run.FromExit}}, run.ReasonExit, "", ""},
		{"top level", run.AttemptEnd{Error: &run.Error{Type: "ValueError"}, Program: true}, run.ReasonProgram, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if reason, text := test.end.Why("worker"); reason != test.reason || text != test.text {
				t.Errorf("%s: %q", reason, text)
			}
			if how := test.end.How("worker"); how != test.how {
				t.Errorf("it ended %q", how)
			}
		})
	}
	_, text := (&run.AttemptEnd{Exit: 3}).Why("trial")
	if text != "ended with exit status 3 before its function returned" {
		t.Errorf("of a trial: %q", text)
	}
}

func TestWhatAReasonMeansForTheRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason                      run.Reason
		ours, retriable, unfinished bool
	}{
		{run.ReasonException, false, false, false},
		{run.ReasonSignal, false, true, true},
		{run.ReasonMemory, false, false, true}, // the next attempt would get as little
		{run.ReasonEvicted, true, true, true},
		{run.ReasonDeleted, true, true, true},
		{run.ReasonOutput, true, false, true}, // the next attempt would find the same
		{run.ReasonImage, true, false, true},  // the next attempt would get the same
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			t.Parallel()
			trial := run.Trial{Phase: run.Failed, Reason: c.reason}
			if c.reason.Ours() != c.ours || c.reason.Retriable() != c.retriable || trial.Unfinished() != c.unfinished {
				t.Errorf("ours %v, retriable %v, unfinished %v", c.reason.Ours(), c.reason.Retriable(),
					trial.Unfinished())
			}
		})
	}
}
