package agent

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// difference is a top-level name whose value looks otherwise here than it did in the session.
type difference struct {
	Name string `json:"name"`
	Live string `json:"live"`
	Here string `json:"here"`
}

// differNote is the one note about all of them.
func differNote(all []difference) run.Note {
	words := make([]string, 0, len(all))
	for i, d := range all {
		where := [2]string{" here and ", " in the notebook"}
		if i > 0 {
			where = [2]string{" and ", ""}
		}
		words = append(words, fmt.Sprintf("`%s` is %s%s%s%s", d.Name, d.Here, where[0], d.Live, where[1]))
	}
	what := "it"
	if len(all) > 1 {
		what = "them"
	}
	return run.Note{
		Code: run.NoteDiffers,
		Text: fmt.Sprintf("%s: something beside the cells (files, variables, time, random numbers) changed %s",
			strings.Join(words, ", "), what),
		Hint: "--with " + all[0].Name + " gives the trials the notebook's value.",
	}
}
