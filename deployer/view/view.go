// Package view says what a run looks like to people: as HTML without JavaScript for notebooks, as plain text for
// everything that shows no HTML, and for terminals. All three are drawn from one [Table], or of a server from one
// [Panel], which is computed from a run's state alone, so that they cannot disagree.
//
// Read [New] first, then html.go, text.go. The package imports deployer/run, internal/prose and the standard library;
// it does no I/O and is handed the time.
package view

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// The most that a table shows; the rest is counted in a line.
const (
	maxRows       = 20
	maxParameters = 8
	maxMetrics    = 5  // beside the one that stands first
	sparkWidth    = 12 // characters of a sparkline
	maxCell       = 24 // characters of a value
	maxConstants  = 12
)

// Facts is what a view knows of a run besides its state.
type Facts struct {
	Spec        run.Spec
	Table       []run.Row // hyperparameters of each trial; may be empty
	Remarks     []string  // sentences to show above the run's own notes
	TensorBoard string    // address, or ""
	AllRows     bool      // show every trial, for logs
	NoPage      bool      // it is drawn as text alone: the rows of [Table.All] are not made
	// what ■ and Ctrl-C do: "stop", "detach" or [Unattended]; "" in a view that nobody can interrupt
	Interrupt string
}

// Unattended is what an interrupt means where a run is shown and nobody waits for it: nothing.
const Unattended = "unattended"

// Table is one moment of a run, ready to be drawn.
type Table struct {
	Name       string
	Phase      run.Phase
	Reason     run.Reason
	Counts     run.Counts
	Total      int
	Parallel   int
	Elapsed    time.Duration
	Left       time.Duration // estimate; 0 is unknown
	Best       string        // "accuracy 0.972", or ""
	BestTrial  int
	Lead       string   // metric that stands first, with its course: the objective, else the only one; or ""
	Direction  string   // of Lead, where it is the objective: run.Max or run.Min
	Constants  []string // parameters that are the same in all trials, "name value"
	Parameters []string // the others
	Metrics    []string // beside Lead
	Rows       []Row
	Hidden     int   // rows that are not shown
	Columns    int   // columns that are not shown
	All        []Row // of a run that is over: every trial, the best first, where Rows leaves some out
	Undecided  string
	Waits      []Wait // what several trials wait for, most trials first
	Notes      []run.Note
	Facts      Facts
	Loaded     *run.Loaded
	Loading    bool // the program's top level is being executed; no trial runs before

	passing []Wait // what is over in moments
	hints   []hint // what to do about trials
}

// Row is one trial.
type Row struct {
	Trial      int
	Phase      run.Phase
	Lead       string // value of the table's Lead
	Parameters []string
	Metrics    []string
	Spark      string
	Error      string // of a failed trial: "ValueError: …", or its reason
	Waiting    string // why a pending trial has not started, where that is not said for several
	Passes     bool   // waiting is over in moments
	Attempt    int
	After      string // what made another attempt necessary: "after an eviction"
	Elapsed    time.Duration
	Best       bool
}

// New computes the table of a run at now.
func New(facts Facts, state *run.State, now time.Time) *Table {
	t := &Table{
		Name: OneLine(facts.Spec.Name), Phase: state.Phase, Reason: state.Reason, Counts: state.Count(),
		Total: len(state.Trials),
		Parallel: min(max(state.Parallelism, 1),
			max(len(state.Trials), 1)), BestTrial: -1, Notes: state.Notes, Facts: facts, Loaded: state.Loaded,
	}
	if t.Phase.Final() { // the way to the cluster has brought all that there was
		t.Notes = slices.DeleteFunc(slices.Clone(t.Notes), func(n run.Note) bool { return n.Code == run.NoteCluster })
	}
	end := now
	if !state.Ended.IsZero() {
		end = state.Ended
	}
	if !state.Submitted.IsZero() {
		t.Elapsed = max(end.Sub(state.Submitted), 0)
	}
	objective := t.decide(state)
	shown, hidden := chosen(state, objective, facts.AllRows)
	t.chooseWaits(state, shown)
	t.chooseHints(state)
	c := t.chooseColumns(state, shown)
	for _, i := range shown {
		t.Rows = append(t.Rows, t.row(c, &state.Trials[i], now))
	}
	t.sparks(state, shown)
	if t.Hidden = len(hidden); t.Hidden > 0 && t.Phase.Final() && !facts.NoPage {
		for _, i := range ranked(state, objective) {
			t.All = append(t.All, t.row(c, &state.Trials[i], now))
		}
	}
	t.Left = left(state, now)
	waits := func(trial run.Trial) bool { return trial.Waiting != nil }
	// Elsewhere each trial loads the program by itself.
	t.Loading = run.ParseName(facts.Spec.Name).Place == "" && !t.Phase.Final() && state.Loaded == nil &&
		t.Counts.Pending == t.Total &&
		!slices.ContainsFunc(state.Trials, waits)
	return t
}

// decide finds the metric that stands first and the best trial, or says why there is none.
func (t *Table) decide(state *run.State) run.Objective {
	objective, none := state.Objective()
	if none == nil {
		t.Lead, t.Direction = objective.Metric, objective.Direction()
	} else {
		t.Lead = onlyMetric(state)
	}
	best, err := state.Best()
	if err == nil {
		t.BestTrial = best
		if v, ok := state.Trials[best].Metrics[objective.Metric]; ok && none == nil {
			t.Best = clip(objective.Metric) + " " + Number(v)
		}
	}
	over := t.Phase.Final() && t.Counts.Succeeded == 0
	if none != nil && !over && (state.Asked.Metric != "" || err != nil && t.Total > 1 && hasMetrics(state)) {
		t.Undecided = OneLine(none.Error())
	}
	return objective
}

func hasMetrics(state *run.State) bool {
	return slices.ContainsFunc(state.Trials, func(t run.Trial) bool { return len(t.Metrics) > 0 })
}

// onlyMetric gives the metric of a run whose trials have one metric, or "".
func onlyMetric(state *run.State) string {
	only := ""
	for i := range state.Trials {
		for name := range state.Trials[i].Metrics {
			if only != "" && only != name {
				return ""
			}
			only = name
		}
	}
	return only
}

// left estimates the time until the last trial ends, from the mean time of those that ended.
func left(state *run.State, now time.Time) time.Duration {
	var sum time.Duration
	n := 0
	for i := range state.Trials {
		if t := &state.Trials[i]; t.Phase == run.Succeeded {
			sum += t.Elapsed(now)
			n++
		}
	}
	atATime := pace(state)
	if n == 0 || state.Phase.Final() || atATime == 0 {
		return 0
	}
	mean := sum / time.Duration(n)
	var work time.Duration
	longest := time.Duration(0)
	for i := range state.Trials {
		switch t := &state.Trials[i]; t.Phase {
		case run.Pending:
			work += mean
			longest = mean
		case run.Running:
			rest := max(mean-t.Elapsed(now), 0)
			work += rest
			longest = max(longest, rest)
		case run.Stopped, run.Failed, run.Succeeded:
		}
	}
	return max(work/time.Duration(atATime), longest)
}

// endedFromOutside are the reasons beside which an exception says nothing: it came of the signal to end.
var endedFromOutside = []run.Reason{run.ReasonTimeout, run.ReasonMemory, run.ReasonEvicted, run.ReasonDeleted}

// Cause says in one line why a trial failed.
func Cause(t *run.Trial) string {
	if t.Error != nil && !slices.Contains(endedFromOutside, t.Reason) {
		text, _, _ := strings.Cut(t.Error.Text, "\n")
		if text == "" {
			return t.Error.Type
		}
		if t.Error.Origin == run.FromMetaML {
			return text
		}
		return t.Error.Type + ": " + text
	}
	switch t.Reason {
	case run.ReasonSignal:
		if t.Exit != nil && *t.Exit > 128 {
			return "killed by signal " + signalName(*t.Exit-128)
		}
		return "killed by a signal"
	case run.ReasonExit:
		if t.Exit != nil {
			return fmt.Sprintf("ended with exit code %d", *t.Exit)
		}
		return "ended by itself"
	case run.ReasonTimeout:
		return "took longer than --timeout allows"
	case run.ReasonLost:
		return "its process was lost"
	case run.ReasonProgram:
		return "the program could not be loaded"
	case run.ReasonDiffers:
		return "its values are others than the notebook's"
	case run.ReasonMemory:
		return cmp.Or(t.Text, "killed for using more memory than it may")
	case run.ReasonEvicted:
		return cmp.Or(t.Text, "evicted from its node")
	case run.ReasonDeleted:
		return cmp.Or(t.Text, "it was deleted from the cluster")
	case run.ReasonImage:
		return cmp.Or(t.Text, "nothing can run in its image")
	case "":
		return string(t.Phase)
	default:
		if t.Text != "" {
			return t.Text
		}
		return string(t.Reason)
	}
}

var signals = map[int]string{
	1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
	13: "SIGPIPE", 15: "SIGTERM",
}

func signalName(n int) string {
	if name, ok := signals[n]; ok {
		return fmt.Sprintf("%d (%s)", n, name)
	}
	return strconv.Itoa(n)
}

// Number writes a metric with three significant digits.
func Number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "-∞"
	case v == math.Trunc(v) && math.Abs(v) < 1e15: // a count, to its last digit
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	a := math.Abs(v)
	switch {
	case a >= 1e6 || a < 1e-4:
		return strconv.FormatFloat(v, 'e', 2, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case a >= 0.001:
		return strconv.FormatFloat(v, 'f', 5, 64)
	default:
		return strconv.FormatFloat(v, 'f', 6, 64)
	}
}

// Value writes a typed value (docs/internals/protocols.md §2) for people: floats with three significant digits, all
// else as it is.
func Value(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return "?"
	}
	return clip(plain(v))
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return float(f)
		}
		return v.String()
	case string:
		return text(v)
	case []any:
		return "[" + joined(v) + "]"
	case map[string]any:
		switch v["$"] {
		case "int", "ref":
			return fmt.Sprint(v["v"])
		case "bytes":
			return bytesText(fmt.Sprint(v["v"]))
		case "float":
			if n, ok := v["v"].(json.Number); ok {
				return n.String()
			}
			return fmt.Sprint(v["v"])
		case "tuple":
			items, _ := v["v"].([]any)
			if len(items) == 1 {
				return "(" + plain(items[0]) + ",)"
			}
			return "(" + joined(items) + ")"
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		for i, name := range names {
			names[i] = name + ": " + plain(v[name])
		}
		return "{" + strings.Join(names, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// text writes a text as it is, or between quotes where it would be taken for another value: '1', 'None'.
func text(s string) string {
	_, err := strconv.ParseFloat(s, 64)
	if err == nil || slices.Contains([]string{"", "None", "True", "False"}, s) {
		return "'" + s + "'"
	}
	return s
}

// bytesText writes bytes, which travel in base64, as Python does.
func bytesText(encoded string) string {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return encoded
	}
	var b strings.Builder
	for _, c := range data[:min(len(data), maxCell)] {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return "b'" + b.String() + "'"
}

// float writes a hyperparameter that is a float, so that it cannot be taken for an integer, without zeros that say
// nothing.
func float(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits, exponent, scientific := strings.Cut(Number(v), "e")
	digits = strings.TrimSuffix(strings.TrimRight(digits, "0"), ".")
	if scientific {
		return digits + "e" + exponent
	}
	return digits
}

func joined(items []any) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = plain(item)
	}
	return strings.Join(texts, ", ")
}

// clip makes a name or a value fit into a cell.
func clip(s string) string { return prose.Shorten(OneLine(s), maxCell) }
