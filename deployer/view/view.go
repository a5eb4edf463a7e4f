// Package view says what a run looks like to people: as HTML without JavaScript for notebooks, as plain text for everything
// that shows no HTML, and for terminals. All three are drawn from one [Table], which is computed from a run's state alone, so
// that they cannot disagree.
//
// Read [New] first. The package imports deployer/run and the standard library; it does no I/O and is handed the time.
package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// The most that a table shows; the rest is counted in a line.
const (
	maxRows       = 20
	maxParameters = 8
	maxMetrics    = 5
	sparkWidth    = 12 // characters of a sparkline
	maxCell       = 24 // characters of a value
)

// Facts is what a view knows of a run besides its state.
type Facts struct {
	Spec        run.Spec
	Table       []run.Row // hyperparameters of each trial; may be empty
	Remarks     []string  // sentences to show above the run's own notes
	TensorBoard string    // address, or ""
	AllRows     bool      // show every trial, for logs
	Interrupt   string    // what ■ and Ctrl-C do: "stop", "detach" or [Unattended]; "" in a view that nobody can interrupt
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
	Objective  string // metric whose course is shown, or ""
	Parameters []string
	Metrics    []string
	Rows       []Row
	Hidden     int // rows that are not shown
	Columns    int // columns that are not shown
	Notes      []run.Note
	Facts      Facts
	Loaded     *run.Loaded
	Loading    bool // the program's top level is being executed; no trial runs before
}

// Row is one trial.
type Row struct {
	Trial      int
	Phase      run.Phase
	Parameters []string
	Metrics    []string
	Spark      string
	Error      string // of a failed trial: "ValueError: …", or its reason
	Attempt    int
	Elapsed    time.Duration
	Best       bool
}

// New computes the table of a run at now.
func New(facts Facts, state *run.State, now time.Time) *Table {
	t := &Table{
		Name: facts.Spec.Name, Phase: state.Phase, Reason: state.Reason, Counts: state.Count(), Total: len(state.Trials),
		Parallel: min(max(state.Parallelism, 1), max(len(state.Trials), 1)), BestTrial: -1, Notes: state.Notes, Facts: facts, Loaded: state.Loaded,
	}
	end := now
	if !state.Ended.IsZero() {
		end = state.Ended
	}
	if !state.Submitted.IsZero() {
		t.Elapsed = max(end.Sub(state.Submitted), 0)
	}
	objective, err := state.Objective()
	if err == nil {
		t.Objective = objective.Metric
		if best, ok := state.Best(objective); ok {
			t.BestTrial = best
			t.Best = objective.Metric + " " + Number(state.Trials[best].Metrics[objective.Metric])
		}
	}
	t.chooseColumns(state)
	t.chooseRows(state, objective, now)
	t.Left = left(state, now)
	t.Loading = !t.Phase.Final() && state.Loaded == nil && t.Counts.Pending == t.Total
	return t
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
	if n == 0 || state.Phase.Final() {
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
	return max(work/time.Duration(max(state.Parallelism, 1)), longest)
}

func (t *Table) chooseColumns(state *run.State) {
	if len(t.Facts.Table) > 0 {
		for _, p := range t.Facts.Table[0] {
			t.Parameters = append(t.Parameters, p.Name)
		}
	}
	if len(t.Parameters) > maxParameters {
		t.Columns += len(t.Parameters) - maxParameters
		t.Parameters = t.Parameters[:maxParameters]
	}
	returned, seen := map[string]bool{}, map[string]bool{}
	for i := range state.Trials {
		for _, name := range state.Trials[i].Returned {
			returned[name] = true
		}
		for name := range state.Trials[i].Metrics {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	// The metric that decides stands last, beside its course; returned ones come before those that were only reported.
	rank := func(name string) int {
		switch {
		case name == t.Objective:
			return 0
		case returned[name]:
			return 1
		case !strings.Contains(name, "/"):
			return 2
		default:
			return 3
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	if len(names) > maxMetrics {
		t.Columns += len(names) - maxMetrics
		names = names[:maxMetrics]
	}
	sort.Slice(names, func(i, j int) bool {
		if (names[i] == t.Objective) != (names[j] == t.Objective) {
			return names[j] == t.Objective
		}
		return names[i] < names[j]
	})
	t.Metrics = names
}

// chooseRows picks the trials to show: the best ones, all that run, those that failed, and shows them in that order. A small
// run is shown whole, in the order of its trials, so that no row moves while it runs.
func (t *Table) chooseRows(state *run.State, objective run.Objective, now time.Time) {
	var shown []int
	if len(state.Trials) <= maxRows || t.Facts.AllRows {
		for i := range state.Trials {
			shown = append(shown, i)
		}
	} else {
		var running, failed, rest []int
		for i := range state.Trials {
			switch state.Trials[i].Phase {
			case run.Running:
				running = append(running, i)
			case run.Failed:
				failed = append(failed, i)
			case run.Succeeded, run.Stopped:
				rest = append(rest, i)
			case run.Pending:
			}
		}
		slices.SortStableFunc(rest, func(a, b int) int {
			va, oka := state.Trials[a].Metrics[objective.Metric]
			vb, okb := state.Trials[b].Metrics[objective.Metric]
			switch {
			case oka && okb && objective.Better(va, vb):
				return -1
			case oka && okb && objective.Better(vb, va):
				return 1
			case oka != okb && oka:
				return -1
			case oka != okb:
				return 1
			}
			return 0
		})
		running, failed = running[:min(len(running), 10)], failed[:min(len(failed), 5)]
		best := rest[:min(len(rest), maxRows-len(running)-len(failed))]
		shown = append(append(append(shown, best...), running...), failed...)
	}
	t.Hidden = len(state.Trials) - len(shown)
	for _, i := range shown {
		t.Rows = append(t.Rows, t.row(&state.Trials[i], now))
	}
}

func (t *Table) row(trial *run.Trial, now time.Time) Row {
	r := Row{
		Trial: trial.Index, Phase: trial.Phase, Elapsed: trial.Elapsed(now), Attempt: trial.Attempt,
		Best: trial.Index == t.BestTrial && trial.Phase == run.Succeeded,
	}
	for _, name := range t.Parameters {
		value := "–"
		if trial.Index < len(t.Facts.Table) {
			for _, p := range t.Facts.Table[trial.Index] {
				if p.Name == name {
					value = Value(p.Value)
				}
			}
		}
		r.Parameters = append(r.Parameters, value)
	}
	for _, name := range t.Metrics {
		v, ok := trial.Metrics[name]
		if !ok {
			r.Metrics = append(r.Metrics, "–")
			continue
		}
		r.Metrics = append(r.Metrics, Number(v))
	}
	if s, ok := trial.Series[t.Objective]; ok && len(s.Values) > 1 {
		r.Spark = Spark(s.Values, sparkWidth)
	}
	if trial.Phase == run.Failed || (trial.Phase == run.Stopped && trial.Reason != run.ReasonStopped) {
		r.Error = Cause(trial)
	}
	return r
}

// Cause says in one line why a trial failed.
func Cause(t *run.Trial) string {
	if t.Error != nil && t.Reason != run.ReasonTimeout {
		text, _, _ := strings.Cut(t.Error.Text, "\n")
		if text == "" {
			return t.Error.Type
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
	case "":
		return string(t.Phase)
	default:
		if t.Text != "" {
			return t.Text
		}
		return string(t.Reason)
	}
}

var signals = map[int]string{1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}

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
	case v == math.Trunc(v) && math.Abs(v) < 1e6:
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
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 3, 64)
	default:
		return strconv.FormatFloat(v, 'f', 5, 64)
	}
}

// Value writes a typed value (docs/protocols.md §2) for people: floats with three significant digits, texts as they are.
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
			return Number(f)
		}
		return v.String()
	case string:
		return v
	case []any:
		return "[" + joined(v) + "]"
	case map[string]any:
		switch v["$"] {
		case "int", "ref", "bytes":
			return fmt.Sprint(v["v"])
		case "float":
			if n, ok := v["v"].(json.Number); ok {
				return n.String()
			}
			return fmt.Sprint(v["v"])
		case "tuple":
			items, _ := v["v"].([]any)
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

func joined(items []any) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = plain(item)
	}
	return strings.Join(texts, ", ")
}

func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return s
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// Spark draws the course of a metric in at most width blocks. What is not a finite number is a gap.
func Spark(values []float64, width int) string {
	if len(values) > width {
		thinned := make([]float64, width)
		for i := range thinned {
			thinned[i] = values[i*(len(values)-1)/(width-1)]
		}
		values = thinned
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			b.WriteRune(' ')
		case high <= low:
			b.WriteRune(blocks[3])
		default:
			b.WriteRune(blocks[int((v-low)/(high-low)*float64(len(blocks)-1)+0.5)])
		}
	}
	return b.String()
}

// Span writes a duration for people: 340 ms, 9.8 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return twoUnits(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 24*time.Hour:
		return twoUnits(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	default:
		return twoUnits(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	}
}

func twoUnits(n int, unit string, m int, small string) string {
	if m == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, m, small)
}

// Count writes a number of things: "1 trial", "2 trials", "12,345 trials".
func Count(n int, thing string) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n == 1 {
		return s + " " + thing
	}
	return s + " " + thing + "s"
}
