package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
)

func runsCommand(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "runs", Short: "List what ran and what runs, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			listed, err := client.Runs.List(cmd.Context())
			if err != nil {
				return err
			}
			servers := make([]*run.Listed, len(listed))
			for i := range listed {
				servers[i] = &listed[i]
			}
			client.Runs.Ask(cmd.Context(), servers...)
			if asJSON {
				return printRunsJSON(a.out, client, listed)
			}
			return printRuns(a.out, listed, time.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printRuns(w io.Writer, listed []run.Listed, now time.Time) error {
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
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s ago\t%s\n", l.Spec.Name, stateWord(l), workersOf(l), addressOf(l),
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
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s ago\t%s\n", l.Spec.Name, stateWord(l), trials, best,
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
	if ready < known {
		return fmt.Sprintf("%d of %s", ready, prose.Count(known, "worker"))
	}
	return prose.Count(known, "worker")
}

// addressOf is where a server answers, or "".
func addressOf(l *run.Listed) string {
	if l.State == nil || l.State.Server == nil || l.State.Phase.Final() {
		return ""
	}
	return l.State.Server.Address
}

// stateWord is a run's state with what people must know beside it.
func stateWord(l *run.Listed) string {
	s := string(l.State.Phase)
	if l.State.Phase.Final() {
		return s
	}
	if server := l.State.Server; server != nil {
		s = "starting"
		switch {
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
		return s + " (its monitor is gone: metaml attach " + l.Spec.Name + " goes on)"
	case run.Restarted:
		return "failed (machine restarted: metaml resume " + l.Spec.Name + ")"
	default:
		return s
	}
}

// runJSON is a run in `metaml runs --json`.
type runJSON struct {
	Name      string         `json:"name"`
	Kind      run.Kind       `json:"kind"`
	Series    string         `json:"series"`
	State     run.Phase      `json:"state"`
	Reason    run.Reason     `json:"reason"`
	Liveness  run.Liveness   `json:"liveness"`
	Damage    string         `json:"damage,omitempty"`
	Trials    int            `json:"trials"`
	Done      int            `json:"done"` // came to an end of their own: succeeded or failed
	Failed    int            `json:"failed"`
	Stopped   int            `json:"stopped"`
	Created   time.Time      `json:"created"`
	Source    string         `json:"source"`
	Objective *objectiveJSON `json:"objective"`
	Best      *int           `json:"best"`
	URL       string         `json:"url,omitempty"` // of a server that answers, or did
	Ready     bool           `json:"ready"`         // a server answered when it was asked
	Record    recordJSON     `json:"record"`
}

// recordJSON tells when what was said of a run is no longer so: when its event file has another size.
type recordJSON struct {
	File string `json:"file"`
	Size int64  `json:"size"`
}

func recordOf(client *deployer.Client, l *run.Listed) recordJSON {
	_, events := client.Runs.Where(l.Spec.Name)
	return recordJSON{File: events, Size: l.Size}
}

type objectiveJSON struct {
	Metric string `json:"metric"`
	Mode   string `json:"mode"`
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

// bestOf gives the objective and the best trial of a run; each is nil where there is none.
func bestOf(s *run.State) (*objectiveJSON, *int) {
	var (
		j    *objectiveJSON
		best *int
	)
	if o, err := s.Objective(); err == nil {
		j = &objectiveJSON{Metric: o.Metric, Mode: o.Direction()}
	}
	if i, err := s.Best(); err == nil {
		best = &i
	}
	return j, best
}

func printRunsJSON(w io.Writer, client *deployer.Client, listed []run.Listed) error {
	out := make([]runJSON, 0, len(listed))
	for i := range listed {
		l := &listed[i]
		j := runJSON{
			Name: l.Spec.Name, Kind: l.Spec.Kind, URL: addressOf(l), Ready: l.Answers(), Series: l.Spec.Series,
			Liveness: l.Liveness, Damage: l.Damage, Created: l.Spec.Created, Source: l.Spec.Source,
			Record: recordOf(client, l),
		}
		if l.State != nil {
			c := l.State.Count()
			j.State, j.Reason, j.Trials, j.Done = l.State.Phase, l.State.Reason, len(l.State.Trials), c.Completed()
			j.Failed, j.Stopped = c.Failed, c.Stopped
			j.Objective, j.Best = bestOf(l.State)
			if l.Liveness == run.Restarted && !j.State.Final() {
				j.State, j.Reason = run.Failed, run.ReasonRestarted
			}
		}
		out = append(out, j)
	}
	return printJSON(w, out)
}

func printJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = fmt.Fprintln(view.Raw(w), view.VisibleJSON(strings.TrimSpace(string(data))))
	return err
}
