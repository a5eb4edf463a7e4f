package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
)

// Runs lists runs for people: one each line, or a sentence where there are none. target says that they are those of one
// target, or place, or is "".
func Runs(w io.Writer, listed []run.Listed, target string, now time.Time) error {
	if len(listed) == 0 && target != "" {
		_, err := fmt.Fprintf(w, "no runs on %s are known here; metaml runs lists those everywhere\n", target)
		return err
	}
	if len(listed) == 0 {
		_, err := fmt.Fprintf(w, "no runs yet; put %%%%train over a cell, or: metaml run NOTEBOOK.ipynb\n")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "RUN\tSTATE\tPROGRESS\tRESULT\tSTARTED\tFROM")
	for i := range listed {
		l := &listed[i]
		if l.Liveness == run.Damaged {
			fmt.Fprintf(table, "%s\tdamaged\t\t\t\t%s\n", l.Spec.Name, view.OneLine(l.Damage))
			continue
		}
		if l.Spec.Kind == run.Serve {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s ago\t%s\n", l.Spec.Name, StateWord(l), workersOf(l), Address(l),
				prose.Duration(now.Sub(l.Spec.Created)), view.OneLine(deployer.SourceName(l.Spec)))
			continue
		}
		c := l.State.Count()
		trials := fmt.Sprintf("%d of %d", c.Completed(), len(l.State.Trials))
		if c.Failed > 0 {
			trials += fmt.Sprintf(", %d failed", c.Failed)
		}
		if c.Stopped > 0 {
			trials += fmt.Sprintf(", %d stopped", c.Stopped)
		}
		best := ""
		if o, i, err := decided(l.State); err == nil {
			best = fmt.Sprintf("%s %s (%d)", view.OneLine(o.Metric),
				view.Number(l.State.Trials[i].Metrics[o.Metric]), i)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s ago\t%s\n", l.Spec.Name, StateWord(l), trials, best,
			prose.Duration(now.Sub(l.Spec.Created)), view.OneLine(deployer.SourceName(l.Spec)))
	}
	return table.Flush()
}

// workersOf says how many workers of a server answer.
func workersOf(l *run.Listed) string {
	s := l.State.Server
	if s == nil || s.Answering() == 0 || l.State.Phase.Final() || l.Liveness == run.Dead {
		return ""
	}
	ready, known := s.CountWorkers(s.Revision)
	words := prose.Count(known, l.Spec.Unit())
	if ready < known {
		words = fmt.Sprintf("%d of %s", ready, words)
	}
	if l.Spec.Server != nil {
		wanted, _ := s.ReplicasOf(l.Spec.Server)
		words += wanted.Bounds()
	}
	return words
}

// Address is where a server answers, or "".
func Address(l *run.Listed) string {
	if l.State == nil || l.State.Server == nil || l.State.Phase.Final() {
		return ""
	}
	return l.State.Server.Address
}

// StateWord is a run's state with what people must know beside it.
func StateWord(l *run.Listed) string {
	s := string(l.State.Phase)
	if l.Gone {
		return s + " (kept here; no longer in the cluster)"
	}
	if l.State.Phase.Final() {
		return s
	}
	if server := l.State.Server; server != nil {
		s = "starting"
		switch {
		case l.Liveness == run.Dead && l.Target == run.Kubernetes:
			return "not followed (metaml attach " + l.Spec.Name + " gives it an address here)"
		case l.Liveness == run.Dead:
			return "dead (metaml attach " + l.Spec.Name + " starts it again)"
		case server.Answering() == 0:
		case l.Health == "" || l.Answers():
			s = "ready"
		default:
			s = view.NotAnswering
		}
	}
	switch l.Liveness {
	case run.Dead:
		if l.Target == run.Kubernetes { // the cluster goes on with it
			return s + " when last looked at (metaml attach " + l.Spec.Name + " follows it)"
		}
		return s + " (its monitor is gone: metaml attach " + l.Spec.Name + " goes on)"
	case run.Restarted:
		return "failed (machine restarted: metaml resume " + l.Spec.Name + ")"
	default:
		if n, reason := waiting(l.State); n > 0 && l.State.Count().Running == 0 {
			s += fmt.Sprintf(" (%d waiting: %s)", n, view.OneLine(string(reason)))
		}
		return s
	}
}

// waiting counts the trials that wait for a reason, and gives the one of most of them, of equals the first.
func waiting(s *run.State) (n int, reason run.Reason) {
	counts := map[run.Reason]int{}
	for i := range s.Trials {
		if w := s.Trials[i].Waiting; w != nil {
			n++
			counts[w.Reason]++
		}
	}
	for i := range s.Trials {
		if w := s.Trials[i].Waiting; w != nil && (reason == "" || counts[w.Reason] > counts[reason]) {
			reason = w.Reason
		}
	}
	return n, reason
}

// decided gives the objective of a run and its best trial, where it has both.
func decided(s *run.State) (run.Objective, int, error) {
	o, err := s.Objective()
	if err != nil {
		return o, 0, err
	}
	i, err := s.Best()
	return o, i, err
}
