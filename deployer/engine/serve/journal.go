package serve

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// reserve is space on the disk that is kept for when there is no other.
type reserve interface {
	Keep()
	GiveUp()
}

// journal is the server's event stream and its fold. A server that answers goes on answering while its disk is full:
// events then wait until there is room for them.
type journal struct {
	spec    run.Spec
	state   *run.State
	log     *folder.Log
	sync    func()
	now     func() time.Time
	reserve reserve

	batch  []*run.Event // not written yet
	urgent bool         // batch has what must be on disk soon
	full   error        // why the last attempt to write failed
	tried  time.Time    // when that was
	deaths int          // lines about workers and fronts
	fronts int          // that were started
}

const (
	maxWaiting = 1000        // events that wait for room on the disk
	tryEvery   = time.Second // between two attempts to write to a full disk
)

func newJournal(spec run.Spec, now func() time.Time) *journal {
	return &journal{spec: spec, state: run.NewState(spec), now: now}
}

// fold takes in an event that was written.
func (j *journal) fold(e run.Event) {
	if j.state.Apply(e) {
		j.count(e)
	}
}

func (j *journal) count(e run.Event) {
	switch e.Type {
	case run.EventWorkerStarted, run.EventWorkerReady, run.EventWorkerEnded, run.EventFrontStarted, run.EventFrontEnded:
		j.deaths++
	}
	if e.Type == run.EventFrontStarted {
		j.fronts = max(j.fronts, e.Attempt)
	}
}

// settle is how long a worker or a front that was started again must live before there is an event of it. A server
// lives for months, and one that dies every second must not fill the disk: the more lines there are about deaths, the
// longer it is, twice as long each 256 of them, so that there are never many thousands.
func (j *journal) settle() time.Duration {
	const lines = 256
	if j.deaths < lines {
		return 0
	}
	return time.Second << min(j.deaths/lines-1, 25)
}

// emit notes an event for the next commit and folds it into the state.
func (j *journal) emit(e run.Event) {
	e.V, e.Source, e.Run, e.Time = 1, engine.Source, j.spec.Name, j.now().UTC()
	j.state.Apply(e) // without a Seq, which only the log gives
	j.count(e)
	switch e.Type {
	case run.EventWorkerStarted, run.EventWorkerReady, run.EventWorkerEnded,
		run.EventFrontStarted, run.EventFrontEnded, run.EventNote:
	default:
		j.urgent = true
	}
	j.batch = append(j.batch, &e)
}

// commit writes what was emitted. If there is no room, it is kept for the next time.
func (j *journal) commit() error {
	if len(j.batch) == 0 {
		return nil
	}
	if j.full != nil && j.now().Sub(j.tried) < tryEvery {
		j.drop()
		return j.full
	}
	err := j.log.Append(j.batch...)
	if err != nil && j.full == nil {
		j.reserve.GiveUp()
		j.drop()
		err = j.log.Append(j.batch...)
	}
	if err != nil {
		j.full, j.tried = fmt.Errorf("the events of the server wait: %w", err), j.now()
		j.drop()
		return j.full
	}
	j.batch = nil
	if j.full != nil {
		j.full = nil
		j.reserve.Keep()
	}
	if j.urgent {
		j.urgent = false
		j.sync()
	}
	return nil
}

// drop forgets what was written before the disk was full, and of what waits, when it is too much, the oldest.
func (j *journal) drop() {
	j.batch = slices.DeleteFunc(j.batch, func(e *run.Event) bool { return e.N > 0 && e.N <= j.log.Last() })
	for _, e := range j.batch {
		e.N, e.Seq = 0, 0
	}
	if more := len(j.batch) - maxWaiting; more > 0 {
		j.batch = slices.Delete(j.batch, 0, more)
	}
}

// last writes what is left, once more.
func (j *journal) last() error {
	j.reserve.GiveUp()
	j.tried = time.Time{}
	return errors.Join(j.commit(), j.log.Sync())
}
