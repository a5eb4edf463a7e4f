package watch

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// TestTheVerdictCountsRight is the sentence that a failed cell ends with, for every mix of how trials ended.
func TestTheVerdictCountsRight(t *testing.T) {
	t.Parallel()
	ok := run.Trial{Phase: run.Succeeded}
	raised := run.Trial{
		Phase: run.Failed, Reason: run.ReasonException, Error: &run.Error{Type: "ValueError", Text: "no"},
	}
	full := run.Trial{Phase: run.Failed, Reason: run.ReasonDisk, Error: &run.Error{Type: "OSError", Text: "no space"}}
	cut := run.Trial{Phase: run.Failed, Reason: run.ReasonDisk}
	lost := run.Trial{Phase: run.Failed, Reason: run.ReasonLost}
	unrun := run.Trial{Phase: run.Failed, Reason: run.ReasonInternal, Text: "no more processes"}
	program := run.Trial{Phase: run.Failed, Reason: run.ReasonProgram, Error: &run.Error{Type: "NameError", Text: "x"}}
	memory := run.Trial{
		Phase: run.Failed, Reason: run.ReasonMemory, Text: "killed for memory at 2 of 2 GiB", Hint: "Try --memory 4Gi.",
	}
	stopped, pending := run.Trial{Phase: run.Stopped}, run.Trial{Phase: run.Pending}
	const space = "no space left on the disk; free some and metaml resume a-1 goes on"
	for _, c := range []struct {
		name   string
		trials []run.Trial
		text   string // of the run
		want   string
	}{
		{"all failed", []run.Trial{raised, raised}, "", "all 2 trials of a-1 failed; trial 0: ValueError: no"},
		{"the only one failed", []run.Trial{raised}, "", "the trial of a-1 failed: ValueError: no"},
		{
			"the program could not be loaded",
			[]run.Trial{program, program},
			"", "the program of a-1 could not be loaded: NameError: x",
		},
		{
			"the disk was full",
			[]run.Trial{ok, cut, full, pending},
			space,
			"2 of 4 trials of a-1 failed, 1 succeeded, 1 never ended; trial 2: OSError: no space; " + space,
		},
		{
			"the disk was full and no trial failed",
			[]run.Trial{ok, ok, pending},
			space, "a-1 failed: " + space + ", 2 succeeded, 1 never ended",
		},
		{
			"a lack of processes is named before an exception",
			[]run.Trial{ok, raised, unrun, stopped},
			"",
			"2 of 4 trials of a-1 failed, 1 succeeded, 1 stopped; trial 2: no more processes; metaml resume a-1 goes " +
				"on",
		},
		{
			"a lost process is named before an exception",
			[]run.Trial{raised, lost, ok},
			"",
			"2 of 3 trials of a-1 failed, 1 succeeded; trial 1: its process was lost; metaml resume a-1 goes on",
		},
		{
			"all ran out of memory",
			[]run.Trial{memory, memory},
			"",
			"all 2 trials of a-1 failed; trial 0: killed for memory at 2 of 2 GiB. Try --memory 4Gi.",
		},
		{
			"all were lost",
			[]run.Trial{lost, lost},
			"",
			"all 2 trials of a-1 failed; trial 0: its process was lost; metaml resume a-1 goes on",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i := range c.trials {
				c.trials[i].Index = i
			}
			got, named := verdict(&run.State{Phase: run.Failed, Trials: c.trials, Text: c.text}, "a-1")
			if got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if named != nil && named.Phase != run.Failed {
				t.Errorf("%s: it names a trial that is %s", got, named.Phase)
			}
		})
	}
}
