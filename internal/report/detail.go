package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch/watch"
	"github.com/metaml/metaml/internal/usererror"
)

// Detail is `metaml show --json`: what the Run object in Python is made of.
type Detail struct {
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
	Objective   *Objective        `json:"objective"`
	Best        *int              `json:"best"`
	NoBest      string            `json:"no_best,omitempty"` // why no trial is the best, a sentence
	Directions  map[string]string `json:"directions"`        // of the metrics whose names have one: "max" or "min"
	TensorBoard string            `json:"tensorboard,omitempty"`
	Folder      string            `json:"folder"`
	Record      Record            `json:"record"`
	Lock        string            `json:"lock,omitempty"`    // the file with the packages of its image
	NotOwn      string            `json:"not_own,omitempty"` // why nothing in the folder may be executed here
	Settings    []run.Setting     `json:"settings"`
	Loaded      *Loaded           `json:"loaded"`
	Trials      []Trial           `json:"trials"`
	Notes       []Note            `json:"notes"`
	History     [][5]any          `json:"history,omitempty"`
	// of a history: values are missing, since only the last ones of a moment were seen
	LastOnly bool `json:"last_only,omitempty"`
	// why what the trials wrote and returned is not kept, and the paths of it are ""
	NotKept *Reason `json:"not_kept,omitempty"`
}

// Reason says why something is not there.
type Reason struct {
	Text string `json:"text"`
	Hint string `json:"hint"` // what to do about it
}

// Trial is one of its trials.
type Trial struct {
	Index      int               `json:"index"`
	State      run.Phase         `json:"state"`
	Reason     run.Reason        `json:"reason"`
	Text       string            `json:"text"` // what happened, where error is not it
	Hint       string            `json:"hint"` // what to do about it
	Waiting    *Waiting          `json:"waiting"`
	Attempt    int               `json:"attempt"`
	Past       []PastAttempt     `json:"past"`
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

// Waiting says why a trial has not started.
type Waiting struct {
	Reason run.Reason `json:"reason"`
	Text   string     `json:"text"`
	Hint   string     `json:"hint"`
	Since  time.Time  `json:"since"`
}

// PastAttempt is how an earlier attempt of a trial ended.
type PastAttempt struct {
	Attempt int        `json:"attempt"`
	State   run.Phase  `json:"state"`
	Reason  run.Reason `json:"reason"`
	Text    string     `json:"text"`
}

// Loaded says how the program's top level was executed, and why the trials are not forks of it.
type Loaded struct {
	Seconds float64  `json:"seconds"`
	Fork    bool     `json:"fork"`
	Causes  []string `json:"causes,omitempty"`
}

// Note is something that was noticed, once for its code.
type Note struct {
	Code  string `json:"code"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
	Trial *int   `json:"trial,omitempty"`
}

func notesJSON(notes []run.Note) []Note {
	out := []Note{}
	for _, n := range notes {
		out = append(out, Note{Code: n.Code, Text: n.Text, Hint: n.Hint, Trial: n.Trial})
	}
	return out
}

// DetailOf gives a training run as `metaml show --json` prints it; with history, every report of its trials.
func DetailOf(
	ctx context.Context, client *deployer.Client, l *run.Listed, table []run.Row, history bool,
) (*Detail, error) {
	s, now := l.State, time.Now()
	j := &Detail{
		V: 1, Name: l.Spec.Name, Series: l.Spec.Series, Key: l.Spec.Key, Kind: l.Spec.Kind, Source: l.Spec.Source,
		State: s.Phase, Reason: s.Reason,
		Liveness: l.Liveness, Completions: len(s.Trials), Parallelism: s.Parallelism, Created: l.Spec.Created,
		TensorBoard: watch.LiveTensorBoard(l),
		Folder:      folderOf(client, l), Record: recordOf(client, l), NotOwn: l.NotOwn, Settings: l.Spec.Settings,
		Trials: []Trial{},
	}
	lock := client.Runs.Folder(l.Spec.Name).Lock()
	if _, err := os.Stat(lock); err == nil {
		j.Lock = lock
	}
	if l := s.Loaded; l != nil {
		j.Loaded = &Loaded{Seconds: l.Seconds, Fork: l.Fork, Causes: l.Causes}
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
	if err := client.Runs.Kept(l.Spec.Name); err != nil {
		j.NotKept = &Reason{Text: err.Error()}
		if mistake, ok := errors.AsType[*usererror.Error](err); ok {
			j.NotKept.Text, j.NotKept.Hint = mistake.Text, mistake.Hint
		}
	}
	for i := range s.Trials {
		t := &s.Trials[i]
		places := client.Runs.Attempt(l.Spec.Name, i, max(t.Attempt, 1))
		d := Trial{
			Index: i, State: t.Phase, Reason: t.Reason, Text: t.Text, Hint: t.Hint, Attempt: t.Attempt,
			Past: []PastAttempt{}, Seconds: t.Elapsed(now).Seconds(), Metrics: t.Metrics, Error: t.Error, Exit: t.Exit,
			Output: places.Output, Seed: t.Seed,
			Log:    map[string]string{"stdout": places.Stdout, "stderr": places.Stderr},
			Result: places.Result,
		}
		if j.NotKept != nil {
			d.Output, d.Result = "", ""
		}
		if d.Metrics == nil {
			d.Metrics = run.Metrics{}
		}
		if !t.Started.IsZero() {
			d.Started = &t.Started
		}
		if w := t.Waiting; w != nil {
			d.Waiting = &Waiting{Reason: w.Reason, Text: w.Text, Hint: w.Hint, Since: w.Since}
		}
		for _, p := range t.Past {
			d.Past = append(d.Past, PastAttempt{Attempt: p.Attempt, State: p.State, Reason: p.Reason, Text: p.Text})
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
	var reports []run.Event
	complete := map[run.AttemptID]time.Time{} // the latest report of those that are all there
	err := client.Runs.Events(ctx, l.Spec.Name, func(e run.Event) error {
		if e.Type != run.EventTrialReport || e.Trial == nil {
			return nil
		}
		reports = append(reports, e)
		if id := (run.AttemptID{Trial: *e.Trial, Number: e.Attempt}); !e.Last && e.Time.After(complete[id]) {
			complete[id] = e.Time
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// In a cluster what an attempt reported may be in the record behind reports of the next one: it came later.
	slices.SortStableFunc(reports, func(a, b run.Event) int { return a.Time.Compare(b.Time) })
	for i := range reports {
		e := &reports[i]
		// What a pod's log says counts from there on, as in [run.State].
		to := complete[run.AttemptID{Trial: *e.Trial, Number: e.Attempt}]
		if e.Last && !to.IsZero() && !e.Time.After(to) {
			continue
		}
		j.LastOnly = j.LastOnly || e.Last
		metrics, err := json.Marshal(e.Metrics)
		if err != nil {
			return nil, fmt.Errorf("encode a report: %w", err)
		}
		var plain map[string]any
		if err := json.Unmarshal(metrics, &plain); err != nil {
			return nil, fmt.Errorf("encode a report: %w", err)
		}
		for name, v := range plain {
			j.History = append(j.History, [5]any{e.Step, float64(e.Time.UnixMicro()) / 1e6, *e.Trial, name, v})
		}
	}
	return j, nil
}
