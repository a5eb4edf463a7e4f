package run

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Objective is the metric that decides which trial is best.
type Objective struct {
	Mode   string `json:"mode,omitempty"` // Max or Min; empty means by the metric's name
	Metric string `json:"metric,omitempty"`
}

// modes are the spellings of a direction before a metric's name.
var modes = map[string]string{
	"max": Max, "maximize": Max, "maximise": Max, "min": Min, "minimize": Min, "minimise": Min,
}

// Direction gives the direction of a metric by its name, Max or Min, or "" for a name that says nothing about it.
func Direction(metric string) string { return traitOf(metric).mode }

// ParseObjective reads "[max:|min:]METRIC". The error is the rest of a sentence that begins with the setting's name.
func ParseObjective(s string) (Objective, error) {
	mode, metric, found := strings.Cut(s, ":")
	if !found {
		mode, metric = "", s
	}
	if metric == "" || found && modes[mode] == "" {
		return Objective{}, fmt.Errorf("takes [max:|min:]METRIC, not %q", s)
	}
	o := Objective{Mode: modes[mode], Metric: metric}
	if o.Mode == "" {
		o.Mode = Direction(metric)
	}
	if o.Mode == "" {
		e := fmt.Errorf("takes min:%s or max:%s, since the name `%s` does not say whether more or less of it is better",
			s, s, s)
		if n := nearestKnown(metric); n != "" {
			e = fmt.Errorf("%w; did you mean %s?", e, n)
		}
		return Objective{}, e
	}
	return o, nil
}

// nearestKnown gives the single word of the table of directions that a name of one word was probably meant to be, or
// "".
func nearestKnown(metric string) string {
	var names []string
	for name := range known {
		if len(name) > 3 && !strings.Contains(name, "+") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if n := prose.Nearest(metric, names); len(metric) > 3 && prose.Distance(strings.ToLower(metric), n) <= 2 {
		return n
	}
	return ""
}

// Direction gives Max or Min: as chosen, else by the metric's name; "" is neither.
func (o Objective) Direction() string {
	if o.Mode != "" { // read at every comparison
		return o.Mode
	}
	return Direction(o.Metric)
}

// Better reports whether a is better than b. NaN is never better than anything, and anything is better than NaN.
// Without a direction nothing is better.
func (o Objective) Better(a, b float64) bool {
	switch direction := o.Direction(); {
	case math.IsNaN(a) || direction == "":
		return false
	case math.IsNaN(b):
		return true
	case direction == Min:
		return a < b
	default:
		return a > b
	}
}

// Objective chooses the metric that decides (docs/reference/rules.md §4): the one chosen by the user, else, of the
// returned metrics (of those that were reported, if none was returned) whose names have a direction, the first by what
// it was measured on, by what it says, and by the table of directions. The error, a [*usererror.Error], says why there
// is none.
func (s *State) Objective() (Objective, error) {
	returned, all := s.metricNames()
	if s.Asked.Metric != "" {
		if text := s.missing(all); text != "" {
			return Objective{}, &usererror.Error{Code: usererror.CodeObjective, Text: text}
		}
		if s.Asked.Direction() == "" { // of a run from before that was refused
			return Objective{}, &usererror.Error{
				Code: usererror.CodeObjective, Text: undecided(s.Name, []string{s.Asked.Metric}),
			}
		}
		return Objective{Mode: s.Asked.Direction(), Metric: s.Asked.Metric}, nil
	}
	names := returned
	if len(names) == 0 {
		names = all
	}
	if o, ok := choose(names); ok {
		return o, nil
	}
	// --objective cannot name it
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	text := fmt.Sprintf("no trial of %s has a metric, so none is the best", s.Name)
	if len(names) > 0 {
		text = undecided(s.Name, names)
	}
	return Objective{}, &usererror.Error{Code: usererror.CodeObjective, Text: text}
}

// undecided is the sentence for names without a direction, the same in the table, from best() and from --model.
func undecided(run string, names []string) string {
	const most = 3
	first := names[0]
	said := fmt.Sprintf("the name `%s` does not say whether more or less of it is better", first)
	if n := len(names); n > 1 {
		more := ""
		if n > most {
			names, more = names[:most], " …"
		}
		said = fmt.Sprintf("the names `%s`%s do not say whether more or less of them is better",
			strings.Join(names, "`, `"), more)
	}
	return fmt.Sprintf("%s, so no trial of %s is called the best: --objective %s or %s", said, run,
		quoted("min:"+first), quoted("max:"+first))
}

// quoted writes an option's value as it is typed, in a cell or a shell.
func quoted(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("'\"`$&|;()<>*?!#~[]{}\\", r)
	}) {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return value
}

// missing says that the metric that was chosen is none that a trial which ended well has; "" while that is open.
func (s *State) missing(all []string) string {
	if s.Count().Succeeded == 0 || slices.Contains(all, s.Asked.Metric) {
		return ""
	}
	text := fmt.Sprintf("--objective %s: the trials of %s have no such metric", s.Asked.Metric, s.Name)
	switch near := prose.Nearest(s.Asked.Metric, all); {
	case near != "":
		return text + fmt.Sprintf("; did you mean %s?", near)
	case len(all) > 0:
		return text + ", only " + strings.Join(all[:min(len(all), 8)], ", ")
	}
	return text
}

// metricNames gives the names of the metrics that trials returned, and of all, each sorted.
func (s *State) metricNames() (returned, all []string) {
	gave, has := map[string]bool{}, map[string]bool{}
	for i := range s.Trials {
		for _, name := range s.Trials[i].Returned {
			gave[name] = true
		}
		for name := range s.Trials[i].Metrics {
			has[name] = true
		}
	}
	return sortedKeys(gave), sortedKeys(has)
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// choose gives the first of names, in the order of the rules, that has a direction.
func choose(names []string) (Objective, bool) {
	best, metric := trait{}, ""
	for _, name := range names { // sorted: of equals the first in the alphabet
		t := traitOf(name)
		if t.mode != "" && (metric == "" || t.before(best)) {
			best, metric = t, name
		}
	}
	return Objective{Mode: best.mode, Metric: metric}, metric != ""
}

func (t trait) before(u trait) bool {
	// What a trial took decides only where nothing says how good it is.
	resource := func(t trait) int {
		if t.rank == rankResource {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(resource(t), resource(u)), cmp.Compare(t.stage, u.stage), cmp.Compare(t.rank, u.rank),
		cmp.Compare(t.order, u.order)) < 0
}

// Best gives the index of the best trial. Of a run that is over the only trial that succeeded is the best, whatever its
// metrics; else the objective decides. The error, a [*usererror.Error], says why there is none.
func (s *State) Best() (int, error) {
	if only, ok := s.only(); ok {
		return only, nil
	}
	o, err := s.Objective()
	if err != nil {
		return 0, err
	}
	return s.bestBy(o)
}

// bestBy gives the best trial under the run's objective.
func (s *State) bestBy(o Objective) (int, error) {
	if i, ok := s.BestBy(o); ok {
		return i, nil
	}
	if s.Count().Succeeded == 0 {
		return 0, &usererror.Error{
			Code: usererror.CodeObjective, Text: fmt.Sprintf("%s has no trial that succeeded, so none is the best",
				s.Name),
		}
	}
	return 0, &usererror.Error{
		Code: usererror.CodeObjective,
		Text: fmt.Sprintf("no trial of %s that did not fail has a number for %s, so none is the best", s.Name,
			o.Metric),
	}
}

// only gives the trial that alone succeeded, once none can follow it.
func (s *State) only() (int, bool) {
	if c := s.Count(); c.Succeeded != 1 || c.Running+c.Pending > 0 && !s.Phase.Final() {
		return 0, false
	}
	return slices.IndexFunc(s.Trials, func(t Trial) bool { return t.Phase == Succeeded }), true
}

// BestBy gives the index of the best trial under o among those that have the metric and did not fail; ok is false if
// there is none. Ties go to the lower index.
func (s *State) BestBy(o Objective) (index int, ok bool) {
	var best float64
	for i := range s.Trials {
		t := &s.Trials[i]
		v, has := t.Metrics[o.Metric]
		if !has || v != v || t.Phase == Failed || t.Phase == Stopped || o.Direction() == "" {
			continue
		}
		if !ok || o.Better(v, best) {
			index, best, ok = i, v, true
		}
	}
	return index, ok
}

// Directions gives the direction of every metric of the run whose name has one, and of the objective as it was
// chosen.
func (s *State) Directions() map[string]string {
	_, all := s.metricNames()
	directions := map[string]string{}
	for _, name := range all {
		if mode := Direction(name); mode != "" {
			directions[name] = mode
		}
	}
	if o := s.Asked; o.Metric != "" && o.Direction() != "" {
		directions[o.Metric] = o.Direction()
	}
	return directions
}
