package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch/watch"
)

func showCommand(a *app) *cobra.Command {
	var asJSON, history, all bool
	c := &cobra.Command{
		Use: "show [RUN]", Short: "Show a run: its table, settings, notes and failures", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			if listed.Spec.Kind == run.Serve {
				client.Runs.Ask(cmd.Context(), &listed)
				if asJSON {
					return printJSON(a.out, serverJSON(client, &listed))
				}
				return a.printServer(client, &listed)
			}
			table, err := client.Runs.Table(cmd.Context(), listed.Spec.Name)
			if err != nil {
				return err
			}
			if asJSON {
				j, err := showJSON(cmd.Context(), client, &listed, table, history)
				if err != nil {
					return err
				}
				return printJSON(a.out, j)
			}
			return a.printShow(client, &listed, table, all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&all, "all", false, "show every trial, where there are more than the table shows")
	c.Flags().BoolVar(&history, "history", false, "with --json: every report of every trial")
	return c
}

func (a *app) printShow(client *deployer.Client, l *run.Listed, table []run.Row, all bool) error {
	t := view.New(view.Facts{Spec: l.Spec, Table: table, AllRows: all, TensorBoard: watch.TensorBoard(l.State)},
		l.State, time.Now())
	text := t.Text()
	if width, _, ok := watch.Terminal(a.out); ok { // its lines are safe, and have colours
		text = strings.Join(t.Terminal(width, math.MaxInt, watch.Colours(a.out, a.environ)), "\n")
	}
	fmt.Fprintln(view.Raw(a.out), text)
	for _, f := range watch.Failures(l.State) {
		_, body := f.Text()
		fmt.Fprintf(a.out, "\n%s\n%s\n", f.Heading(), body)
	}
	return a.printOrigin(client, l)
}

// printOrigin says where a run came from, with what settings, and where it keeps things.
func (a *app) printOrigin(client *deployer.Client, l *run.Listed) error {
	fmt.Fprintf(a.out, "\nfrom %s, submitted %s, %s\n", l.Spec.Source,
		l.Spec.Created.Local().Format("2006-01-02 15:04:05"), stateWord(l))
	for _, s := range l.Spec.Settings {
		if s.Origin != "default" {
			fmt.Fprintf(a.out, "  %s = %s (%s)\n", s.Name, s.Value, s.Origin)
		}
	}
	_, err := fmt.Fprintf(a.out, "outputs and logs: %s\n", folderOf(client, l))
	return err
}

// runDetail is `metaml show --json`: what the Run object in Python is made of.
type runDetail struct {
	V           int               `json:"v"`
	Name        string            `json:"name"`
	Series      string            `json:"series"`
	Key         string            `json:"key"`
	Kind        run.Kind          `json:"kind"`
	Source      string            `json:"source"`
	State       run.Phase         `json:"state"`
	Reason      run.Reason        `json:"reason"`
	Liveness    run.Liveness      `json:"liveness"`
	Completions int               `json:"completions"`
	Parallelism int               `json:"parallelism"`
	Created     time.Time         `json:"created"`
	Ended       *time.Time        `json:"ended"`
	Seconds     float64           `json:"seconds"`
	Objective   *objectiveJSON    `json:"objective"`
	Best        *int              `json:"best"`
	NoBest      string            `json:"no_best,omitempty"` // why no trial is the best, a sentence
	Directions  map[string]string `json:"directions"`        // of the metrics whose names have one: "max" or "min"
	TensorBoard string            `json:"tensorboard,omitempty"`
	Folder      string            `json:"folder"`
	Record      recordJSON        `json:"record"`
	NotOwn      string            `json:"not_own,omitempty"` // why nothing in the folder may be executed here
	Settings    []run.Setting     `json:"settings"`
	Loaded      *loadedDetail     `json:"loaded"`
	Trials      []trialDetail     `json:"trials"`
	Notes       []noteDetail      `json:"notes"`
	History     [][5]any          `json:"history,omitempty"`
}

type trialDetail struct {
	Index      int               `json:"index"`
	State      run.Phase         `json:"state"`
	Reason     run.Reason        `json:"reason"`
	Attempt    int               `json:"attempt"`
	Started    *time.Time        `json:"started"`
	Seconds    float64           `json:"seconds"`
	Parameters json.RawMessage   `json:"parameters"`
	Metrics    run.Metrics       `json:"metrics"`
	Error      *run.Error        `json:"error"`
	Exit       *int              `json:"exit"`
	Output     string            `json:"output"`
	Seed       *int64            `json:"seed"`
	Log        map[string]string `json:"log"`
	// path of what it returned, pickled; or, with .txt, of why it is not there
	Result string `json:"result"`
}

// loadedDetail tells how the program's top level was executed, and why the trials are not forks of it.
type loadedDetail struct {
	Seconds float64  `json:"seconds"`
	Fork    bool     `json:"fork"`
	Causes  []string `json:"causes,omitempty"`
}

type noteDetail struct {
	Code  string `json:"code"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
	Trial *int   `json:"trial,omitempty"`
}

func notesJSON(notes []run.Note) []noteDetail {
	out := []noteDetail{}
	for _, n := range notes {
		out = append(out, noteDetail{Code: n.Code, Text: n.Text, Hint: n.Hint, Trial: n.Trial})
	}
	return out
}

func showJSON(
	ctx context.Context, client *deployer.Client, l *run.Listed, table []run.Row, history bool,
) (*runDetail, error) {
	s, now := l.State, time.Now()
	j := &runDetail{
		V: 1, Name: l.Spec.Name, Series: l.Spec.Series, Key: l.Spec.Key, Kind: l.Spec.Kind, Source: l.Spec.Source,
		State: s.Phase, Reason: s.Reason,
		Liveness: l.Liveness, Completions: len(s.Trials), Parallelism: s.Parallelism, Created: l.Spec.Created,
		TensorBoard: watch.LiveTensorBoard(l),
		Folder:      folderOf(client, l), Record: recordOf(client, l), NotOwn: l.NotOwn, Settings: l.Spec.Settings,
		Trials: []trialDetail{},
	}
	if l := s.Loaded; l != nil {
		j.Loaded = &loadedDetail{Seconds: l.Seconds, Fork: l.Fork, Causes: l.Causes}
	}
	end := now
	if !s.Ended.IsZero() {
		end = s.Ended
		j.Ended = &s.Ended
	}
	j.Seconds = end.Sub(l.Spec.Created).Seconds()
	j.Objective, j.Best = bestOf(s)
	j.Directions = s.Directions()
	if _, err := s.Best(); err != nil {
		j.NoBest = err.Error()
	}
	for i := range s.Trials {
		t := &s.Trials[i]
		places := client.Runs.Attempt(l.Spec.Name, i, max(t.Attempt, 1))
		d := trialDetail{
			Index: i, State: t.Phase, Reason: t.Reason, Attempt: t.Attempt, Seconds: t.Elapsed(now).Seconds(),
			Metrics: t.Metrics, Error: t.Error, Exit: t.Exit,
			Output: places.Output, Seed: t.Seed,
			Log:    map[string]string{"stdout": places.Stdout, "stderr": places.Stderr},
			Result: places.Result,
		}
		if d.Metrics == nil {
			d.Metrics = run.Metrics{}
		}
		if !t.Started.IsZero() {
			d.Started = &t.Started
		}
		d.Parameters = json.RawMessage("{}")
		if i < len(table) {
			row, err := folder.FormatRow(table[i])
			if err != nil {
				return nil, fmt.Errorf("encode the parameters of trial %d: %w", i, err)
			}
			d.Parameters = row
		}
		j.Trials = append(j.Trials, d)
	}
	j.Notes = notesJSON(s.Notes)
	if !history {
		return j, nil
	}
	err := client.Runs.Events(ctx, l.Spec.Name, func(e run.Event) error {
		if e.Type != run.EventTrialReport || e.Trial == nil {
			return nil
		}
		metrics, err := json.Marshal(e.Metrics)
		if err != nil {
			return fmt.Errorf("encode a report: %w", err)
		}
		var plain map[string]any
		if err := json.Unmarshal(metrics, &plain); err != nil {
			return fmt.Errorf("encode a report: %w", err)
		}
		for name, v := range plain {
			j.History = append(j.History, [5]any{e.Step, float64(e.Time.UnixMicro()) / 1e6, *e.Trial, name, v})
		}
		return nil
	})
	return j, err
}

// folderOf is where a run keeps everything.
func folderOf(client *deployer.Client, l *run.Listed) string {
	dir, _ := client.Runs.Where(l.Spec.Name)
	return dir
}
