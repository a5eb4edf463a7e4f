package watch

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/usererror"
)

// verdict says in one sentence why a run failed, with true numbers: trials may have succeeded all the same, when it
// ended for a reason of its own or some could not be run. The trial is the one that it names, nil if none failed.
func verdict(s *run.State, name string) (text string, named *run.Trial) {
	named = decisive(s)
	if named == nil {
		return fmt.Sprintf("%s failed: %s%s", name, why(s), others(s)), nil
	}
	summary, _ := view.Failure(named)
	switch n := len(s.Trials); {
	case named.Reason == run.ReasonDiffers:
		return fmt.Sprintf("--strict: nothing of %s was started: %s", name, view.Cause(named)), named
	case named.Reason == run.ReasonProgram:
		return fmt.Sprintf("the program of %s could not be loaded: %s", name, view.Cause(named)), named
	case n == 1:
		text = fmt.Sprintf("the trial of %s failed: %s", name, strings.TrimPrefix(summary, "trial 0: "))
	case s.Count().Failed == n:
		text = fmt.Sprintf("all %d trials of %s failed; %s", n, name, summary)
	default:
		text = fmt.Sprintf("%d of %d trials of %s failed%s; %s", s.Count().Failed, n, name, others(s), summary)
	}
	if s.Text != "" {
		return text + "; " + s.Text, named
	}
	if named.Hint != "" {
		return usererror.Sentences(text, named.Hint), named
	}
	if named.Reason.Ours() {
		text += fmt.Sprintf("; metaml resume %s goes on", name)
	}
	return text, named
}

// decisive is the failed trial that says most about why the run failed: the first that could not be run, else the
// first.
func decisive(s *run.State) *run.Trial {
	var first *run.Trial
	for i := range s.Trials {
		t := &s.Trials[i]
		switch {
		case t.Phase != run.Failed:
		case t.Reason.Ours() && t.Error != nil:
			return t
		case first == nil, t.Reason.Ours() && !first.Reason.Ours():
			first = t
		}
	}
	return first
}

// others counts the trials that did not fail: ", 6 succeeded, 2 never started".
func others(s *run.State) string {
	c := s.Count()
	var text strings.Builder
	for _, part := range []struct {
		n    int
		what string
	}{{c.Succeeded, "succeeded"}, {c.Stopped, "stopped"}, {c.Pending + c.Running, "never ended"}} {
		if part.n > 0 {
			fmt.Fprintf(&text, ", %d %s", part.n, part.what)
		}
	}
	return text.String()
}

// why is the run's own reason.
func why(s *run.State) string {
	if s.Text != "" {
		return s.Text
	}
	return string(s.Reason)
}
