package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/metaml/metaml/internal/prose"
)

// maxCauses is how many reasons a line names.
const maxCauses = 2

// unforked says why each trial loads the program by itself, which takes longer; "" where they are forks of one that has
// loaded it, or where it was set, or where it costs nothing.
func (t *Table) unforked() string {
	l := t.Loaded
	if l == nil || l.Fork || len(l.Causes) == 0 || t.Facts.Spec.Fresh || t.Total < 2 {
		return ""
	}
	shown := l.Causes[:min(len(l.Causes), maxCauses)]
	text := fmt.Sprintf("each trial loads the program again, in %s, since it cannot be forked: %s",
		prose.Duration(time.Duration(l.Seconds*float64(time.Second))), strings.Join(shown, "; "))
	if more := len(l.Causes) - len(shown); more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
