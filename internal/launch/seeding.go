package launch

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// seedings are where the program seeds itself: at top level, and in its function at each call, there what whole
// libraries draw, or only what one generator or model does.
func (s *Submission) seedings() (above, inside, own []slicer.Seeding) {
	if s.slice == nil || s.Settings.Kind != run.Train {
		return nil, nil, nil
	}
	for _, p := range s.slice.Seedings {
		switch {
		case p.Inside && p.Own:
			own = append(own, p)
		case p.Inside:
			inside = append(inside, p)
		default:
			above = append(above, p)
		}
	}
	return above, inside, own
}

// seedWins refuses a --seed that the function would undo each time it is called.
func (s *Submission) seedWins() error {
	_, inside, _ := s.seedings()
	if len(inside) == 0 || !s.Settings.Has("seed") {
		return nil
	}
	if origin := s.Settings.Values["seed"].Origin; origin != settings.FromCell && origin != settings.FromCommand {
		return nil // it is noted
	}
	return &usererror.Error{
		Code: usererror.CodeSeed, Text: fmt.Sprintf("--seed %s would change nothing: %s seeds %s itself (%s)",
			s.Settings.Text("seed"), s.program.Entry, what(inside), places(inside)),
		Hint: "Give metaml.seed() as the seed there, which --seed decides, or leave --seed out.",
	}
}

// seedNotes says which seeds count where the program has seeds of its own: that its trials would all be the same, or
// that --seed goes before them.
func (s *Submission) seedNotes(p *deployer.Plan) []string {
	above, inside, own := s.seedings()
	if p.Attach != nil || p.Reuse != nil || len(above)+len(inside)+len(own) == 0 {
		return nil
	}
	var notes []string
	seed := s.Settings.Has("seed")
	if seed && len(above) > 0 {
		notes = append(notes, fmt.Sprintf("--seed %s goes before the seed that the program gives %s (%s)",
			s.Settings.Text("seed"), what(above), places(above)))
	}
	if seed {
		above = nil
	}
	if p.Spec.Completions < 2 || !allAlike(p.Table) {
		return notes
	}
	because := fmt.Sprintf("and no hyperparameter differs, so all %d trials draw the same random numbers",
		p.Spec.Completions)
	switch {
	case len(inside) > 0:
		notes = append(notes,
			fmt.Sprintf("%s seeds %s itself (%s), %s; metaml.seed() as the seed gives each trial its own", p.Spec.Entry,
				what(inside), places(inside), because))
	case len(above) > 0:
		notes = append(notes, fmt.Sprintf("the program seeds %s itself (%s), %s; --seed N gives each trial its own",
			what(above), places(above), because))
	case len(own) > 0:
		because = fmt.Sprintf("and no hyperparameter differs, so what it draws is the same in all %d trials",
			p.Spec.Completions)
		notes = append(notes,
			fmt.Sprintf("%s seeds %s itself (%s), %s; metaml.seed() as the seed gives each trial its own", p.Spec.Entry,
				what(own), places(own), because))
	}
	return notes
}

// allAlike says that no row differs from the first.
func allAlike(table []run.Row) bool {
	for _, row := range table {
		if !slices.EqualFunc(row, table[0], func(a, b run.Param) bool {
			return a.Name == b.Name && bytes.Equal(a.Value, b.Value)
		}) {
			return false
		}
	}
	return true
}

// what names what is seeded, and places where, a few at most.
func what(all []slicer.Seeding) string {
	var names []string
	for _, p := range all {
		name := p.What
		if p.Own {
			name = "`" + name + "`"
		}
		names = append(names, name)
	}
	return strings.Join(most(names), ", ")
}

func places(all []slicer.Seeding) string {
	var names []string
	for _, p := range all {
		if !slices.Contains(names, p.Place) {
			names = append(names, p.Place)
		}
	}
	return strings.Join(most(names), "; ")
}

func most(names []string) []string {
	const enough = 3
	if len(names) > enough {
		return append(slices.Clip(names[:enough]), "…")
	}
	return names
}
