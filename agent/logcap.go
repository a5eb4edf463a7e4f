package agent

import (
	"fmt"
	"os"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// A log of a trial is written by the trial itself, straight into its file: nothing of it is lost whatever happens to
// us. What keeps it from filling the disk is that its middle is given back to the file system while it grows.
const (
	logLimit = 64 << 20 // bytes of one stream of one attempt, before its middle goes
	logHead  = 16 << 20 // kept of its beginning
	logTail  = 32 << 20 // kept of its end, at least
)

// cappedLog is one stream of one attempt.
type cappedLog struct {
	stream  string
	path    string
	gapFile string
	gap     folder.Gap
}

// capLog gives back the middle of a log that has grown too long, and says so once. The owner is whoever ends or watches
// the attempt.
func (a *attempt) capLog(l *cappedLog) {
	// Not under the lock, which whoever takes in notes may want.
	if a.cut(l) {
		a.sup.note(a.AttemptID, run.Note{
			Code: run.NoteLogCapped,
			Text: fmt.Sprintf("%s of %s %d is longer than %d MiB: its first %d MiB and its last %d MiB are kept",
				l.stream, a.sup.what(), a.Trial, logLimit>>20, logHead>>20, logTail>>20),
			Hint: "Print less, or write to a file in metaml.output().",
		})
	}
}

// cut gives back the middle, if there is too much of it; first says that this never happened before.
func (a *attempt) cut(l *cappedLog) (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Lstat(l.path)
	if err != nil || info.Size()-max(l.gap.To-l.gap.From, 0) <= logLimit {
		return false
	}
	first = l.gap.To == 0
	// Whole blocks, so that the file system can free them.
	const block = 1 << 20
	to := (info.Size() - logTail) / block * block
	next := folder.Gap{From: logHead, To: to}
	if folder.ReplaceJSON(l.gapFile, next) != nil {
		return false
	}
	from := max(l.gap.To, logHead)
	l.gap = next
	f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if err != nil {
		return first
	}
	defer f.Close()
	if err := punch(f, from, to-from); err != nil {
		// A file system that cannot free the middle of a file keeps it; the reader leaves it out all the same.
		fmt.Fprintf(os.Stderr, "free the middle of %s: %v\n", l.path, err)
	}
	return first
}
