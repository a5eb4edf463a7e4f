package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// maxFailures bounds the failures that are shown one by one; the table counts them all.
const maxFailures = 3

// tellAfter is how long failures are kept back while nothing has succeeded: a run that fails as a whole says why at its
// end, once.
const tellAfter = 10 * time.Second

// failures gathers the trials that failed, so that what several of them say alike is shown once.
type failures struct {
	groups []*Failure // in the order of their first
	shown  int
	since  time.Time // of the first
}

// Failure is trials that failed alike: by the same kind of error in the same place.
type Failure struct {
	key    string
	first  run.Trial
	trials []int
	shown  bool
}

// add takes in a trial that failed.
func (f *failures) add(t *run.Trial, now time.Time) {
	if f.since.IsZero() {
		f.since = now
	}
	key := view.FailureKey(t)
	for _, g := range f.groups {
		if g.key == key {
			g.trials = append(g.trials, t.Index)
			return
		}
	}
	f.groups = append(f.groups, &Failure{key: key, first: *t, trials: []int{t.Index}})
}

// Failures are the first failures of a run as it is, of which there is something to show.
func Failures(s *run.State) []*Failure {
	var f failures
	for i := range s.Trials {
		if t := &s.Trials[i]; t.Phase == run.Failed {
			f.add(t, time.Time{})
		}
	}
	var some []*Failure
	for i, g := range f.groups {
		if _, body := view.Failure(&g.first); body != "" && i < maxFailures {
			some = append(some, g)
		}
	}
	return some
}

// due gives the failures that are to be shown now, each once. Those that outcome shows, when the run has failed, are
// left to it.
func (f *failures) due(s *run.State, now time.Time) []*Failure {
	switch {
	case len(f.groups) == 0:
		return nil
	case !s.Phase.Final() && s.Count().Succeeded == 0 && now.Sub(f.since) < tellAfter:
		return nil
	}
	var leave string
	if s.Phase == run.Failed {
		if t := decisive(s); t != nil {
			leave = view.FailureKey(t)
		}
	}
	var due []*Failure
	for _, g := range f.groups {
		if g.shown || g.key == leave || f.shown == maxFailures {
			continue
		}
		if _, body := view.Failure(&g.first); body == "" {
			continue
		}
		g.shown = true
		f.shown++
		due = append(due, g)
	}
	return due
}

// maxAlike bounds the trials that a heading names.
const maxAlike = 6

// which names the trials: "trial 3", "trials 0, 1 and 2".
func (g *Failure) which() string {
	if len(g.trials) == 1 {
		return fmt.Sprintf("trial %d", g.trials[0])
	}
	numbers := make([]string, 0, maxAlike)
	for _, i := range slices.Sorted(slices.Values(g.trials)) {
		if len(numbers) == maxAlike && len(g.trials) > maxAlike {
			return fmt.Sprintf("trials %s and %d more", strings.Join(numbers, ", "), len(g.trials)-maxAlike)
		}
		numbers = append(numbers, fmt.Sprint(i))
	}
	last := len(numbers) - 1
	return fmt.Sprintf("trials %s and %s", strings.Join(numbers[:last], ", "), numbers[last])
}

// Heading says that they failed.
func (g *Failure) Heading() string {
	if len(g.trials) == 1 {
		return g.which() + " failed"
	}
	return g.which() + " failed alike"
}

// Bundle is what a front end shows of it.
func (g *Failure) Bundle() map[string]string {
	summary, body := g.Text()
	return map[string]string{"text/html": view.Fold(summary, body), "text/plain": body}
}

// Text is one line and, below it, the user's own frames.
func (g *Failure) Text() (summary, body string) {
	summary, body = view.Failure(&g.first)
	return g.which() + strings.TrimPrefix(summary, fmt.Sprintf("trial %d", g.first.Index)), body
}
