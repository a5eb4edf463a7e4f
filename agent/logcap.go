package agent

import (
	"fmt"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// cappedLog is one stream of one attempt. It is written by the trial itself, straight into its file: nothing of it is
// lost whatever happens to us.
type cappedLog struct {
	*folder.LogCap
	stream string
}

// capLog gives back the middle of a log that has grown too long, and says so once. The owner is whoever ends or watches
// the attempt.
func (a *attempt) capLog(l *cappedLog) {
	// Not under the lock, which whoever takes in notes may want.
	if a.cut(l) {
		a.sup.note(a.AttemptID, run.Note{
			Code: run.NoteLogCapped,
			Text: folder.Capped(fmt.Sprintf("%s of %s %d", l.stream, a.sup.what(), a.Trial)),
			Hint: "Print less, or write to a file in metaml.output().",
		})
	}
}

func (a *attempt) cut(l *cappedLog) (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return l.Cut()
}
