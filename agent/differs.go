package agent

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// difference is a top-level name whose value is another one here than it was in the session.
type difference struct {
	Name      string `json:"name"`
	Text      string `json:"text"`      // "`x` is 2 here and 1 in the notebook"
	Place     string `json:"place"`     // of the statement that may have changed it and was left out, if one is known
	Statement string `json:"statement"` // how people know it again; "" where it may not be said
}

// cause says what may have made the difference, "" if it is not known.
func (d *difference) cause() string {
	switch {
	case d.Place == "":
		return ""
	case d.Statement == "":
		return d.Place + " was left out"
	}
	return fmt.Sprintf("%s (`%s`) was left out", d.Place, d.Statement)
}

// differError is with what --strict refuses a program: the same sentence.
func differError(all []difference) *run.Error {
	n := differNote(all)
	text := n.Text + ". " + n.Hint
	return &run.Error{Type: run.TypeDiffers, Origin: run.FromMetaML, Text: text, Traceback: text}
}

// differNote is the one note about all of them.
func differNote(all []difference) run.Note {
	var known, unknown []string
	for i := range all {
		if cause := all[i].cause(); cause != "" {
			known = append(known, all[i].Text+": "+cause)
		} else {
			unknown = append(unknown, all[i].Text)
		}
	}
	if len(unknown) > 0 {
		what := "it"
		if len(unknown) > 1 {
			what = "them"
		}
		known = append(known, fmt.Sprintf("%s: something beside the cells (files, variables, time, random numbers) "+
			"changed %s", strings.Join(unknown, ", "), what))
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	values := "value"
	if len(all) > 1 {
		values = "values"
	}
	return run.Note{
		Code: run.NoteDiffers, Text: strings.Join(known, "; "),
		Hint: fmt.Sprintf("--with %s gives the trials the notebook's %s.", strings.Join(names, ","), values),
	}
}
