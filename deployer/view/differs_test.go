package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// What is otherwise than in the notebook is about all that is shown, so it stands before it; and once.
func TestWhatDiffersIsTheFirstLine(t *testing.T) {
	state := &run.State{Phase: run.Running, Trials: []run.Trial{{Phase: run.Running}}, Notes: []run.Note{
		{Code: run.NoteReports, Text: "reports were merged"},
		{Code: run.NoteDiffers, Text: "`x` is 1 here and 2 in the notebook: cell 3, line 2 was left out", Hint: "L."},
	}}
	const line = "`x` is 1 here and 2 in the notebook: cell 3, line 2 was left out. L."
	table := view.New(view.Facts{Spec: run.Spec{Name: "fit-1"}}, state, time.Now())
	if text := table.Text(); !strings.HasPrefix(text, line+"\n") || strings.Count(text, "in the notebook") != 1 {
		t.Errorf("the text is %q", text)
	}
	page := table.HTML()
	if at := strings.Index(page, "in the notebook"); at < 0 || at > strings.Index(page, "fit-1") ||
		strings.Count(page, "in the notebook") != 1 {
		t.Errorf("the page is %q", page)
	}
}
