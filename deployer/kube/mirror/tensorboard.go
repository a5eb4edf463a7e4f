package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/tensorboard"
)

// tensorBoard is the TensorBoard of a run, on this machine: it lasts from the first trial until the run is not followed
// any more.
type tensorBoard struct {
	begin func() // starts it, once; nil: the run is to have none, or nobody follows it

	mu    sync.Mutex
	notes []run.Note // that are not in the record yet
}

// say keeps a note for the record.
func (b *tensorBoard) say(n run.Note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, n)
}

// take gives the notes since it was called last.
func (b *tensorBoard) take() []run.Note {
	b.mu.Lock()
	defer b.mu.Unlock()
	notes := b.notes
	b.notes = nil
	return notes
}

// keepTensorBoard lets [mirror.tellTensorBoard] start the TensorBoard that the run is to have. end ends it, and returns
// when it is gone.
func (m *mirror) keepTensorBoard(ctx context.Context) (end func()) {
	if !m.spec.TensorBoard {
		return func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var serving sync.WaitGroup
	m.board.begin = sync.OnceFunc(func() {
		python := Python(m.folder, &m.spec)
		if python == "" {
			whole := run.Name{Run: m.name, Place: m.cluster.Place()}
			m.board.say(run.Note{
				Code: run.NoteTensorBoardMissing,
				Text: "there is no TensorBoard here: the run was submitted from another machine",
				Hint: fmt.Sprintf("`metaml tensorboard %s` starts one.", whole),
			})
			return
		}
		serving.Go(func() {
			tensorboard.Serve(ctx, m.folder, python, func(n run.Note) { m.board.say(n); m.wake() })
		})
	})
	return func() {
		cancel(nil)
		serving.Wait()
	}
}

// tellTensorBoard starts the run's TensorBoard once a trial has begun, and notes where it is, or why there is none.
func (m *mirror) tellTensorBoard() error {
	state := m.planner.state
	if m.board.begin == nil {
		return nil
	}
	for i := range state.Trials {
		if !state.Trials[i].Started.IsZero() {
			m.board.begin()
			break
		}
	}
	var events []run.Event
	for _, n := range m.board.take() {
		said := func(old run.Note) bool { return old.Code == n.Code && old.Text == n.Text }
		if n.Code == run.NoteTensorBoardMissing && slices.ContainsFunc(state.Notes, said) {
			continue // by whoever followed the run before
		}
		e := run.Event{Type: run.EventNote, Time: time.Now(), Code: n.Code, Text: n.Text, Hint: n.Hint}
		if e.Time.Before(state.Resumed) { // by the cluster's clock. Addresses from before that count no more
			e.Time = state.Resumed
		}
		state.Apply(e)
		events = append(events, e)
	}
	return m.write(events)
}

// pythonFile has an ownPython, where the run was submitted on this machine.
func pythonFile(f folder.Run) string { return filepath.Join(string(f), "python.json") }

// ownPython is the interpreter of the session that submitted the run.
type ownPython struct {
	Python string `json:"python"`
}

// keepPython writes it down.
func (m *mirror) keepPython() error {
	file := pythonFile(m.folder)
	if err := folder.ReplaceJSON(file, ownPython{m.spec.Python}); err != nil {
		return folder.Explain(err, "write", file)
	}
	return nil
}

// Python is the interpreter of the session that submitted the run, if that was on this machine; else "". The spec does
// not say it: where the run was submitted elsewhere, its spec comes from the cluster, and whoever may write there could
// name any program of this machine.
func Python(f folder.Run, spec *run.Spec) string {
	if f.Own(spec) != "" {
		return ""
	}
	var own ownPython
	data, err := os.ReadFile(pythonFile(f))
	if err != nil || json.Unmarshal(data, &own) != nil {
		return ""
	}
	return own.Python
}
