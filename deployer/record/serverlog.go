package record

import (
	"context"
	"io"
	"slices"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// workerLog is what one attempt of a worker printed.
type workerLog struct {
	server   folder.Run
	worker   int
	revision int
	attempt  int // 0: it has none yet
	log      folder.LogCopier
}

func (l *workerLog) open(revision, attempt int, streams []string) {
	l.revision, l.attempt = revision, attempt
	l.log = l.folder().NewLog(l.worker, attempt, streams...)
}

func (l *workerLog) folder() folder.Run { return l.server.Revision(l.revision) }

func (l *workerLog) copyTo(out io.Writer) error { return l.log.CopyTo(out) }

// after is the attempt that follows this one; 0 is none.
func (l *workerLog) after() int {
	all := l.folder().Attempts(l.worker)
	if i, _ := slices.BinarySearch(all, l.attempt+1); i < len(all) {
		return all[i]
	}
	return 0
}

// serverLog copies what a worker of the answering revision printed, else of the newest that was started: all its
// attempts in their order, or one. With follow it goes on, also with the revision that replaces this one, until the
// server has ended.
func (r *Reader) serverLog(
	ctx context.Context, e entry, worker, attempt int, streams []string, follow bool, out io.Writer,
) error {
	f := e.folder
	w, err := r.watch(e, "")
	if err != nil {
		return err
	}
	defer func() { w.close() }()
	if err := w.catchUp(nil); err != nil {
		return err
	}
	l := &workerLog{server: f, worker: worker}
	revision := loggedRevision(f, w.state)
	if spec, err := f.Revision(revision).ReadSpec(); err == nil {
		units := spec.UnitsOf(w.state.Server.Replicas)
		for _, known := range w.state.Server.WorkersOf(revision) {
			units = max(units, known.Index+1)
		}
		if worker < 0 || worker >= units {
			return usererror.New(usererror.CodeTrial, "server %s has no %s %d", w.spec.Name, spec.Unit(), worker).
				With("They are 0 to %d.", units-1)
		}
	}
	l.open(revision, attempt, streams)
	if attempt == 0 {
		l.open(revision, l.after(), streams)
	}
	var watched folder.LogCopier
	for {
		// Ask before the copy, so that nothing written before the end is missed.
		next, now, ended := l.after(), w.state.Server.Revision, w.state.Phase.Final()
		if err := l.copyTo(out); err != nil {
			return err
		}
		switch {
		case attempt > 0 && (!follow || next > 0 || now > l.revision || ended):
			return nil
		case next > 0 && attempt == 0:
			l.open(l.revision, next, streams)
		case !follow:
			return nil
		case now > l.revision:
			l.open(now, 0, streams)
		case ended:
			return nil
		default:
			if watched != l.log {
				// The folders that tell of a change are those of now. What changed meanwhile is seen in the next round.
				watched = l.log
				w.watch.Close()
				w.watch = folder.NewWatch(f.Events(), l.folder().Trial(worker), l.folder().Attempt(worker, l.attempt))
				continue
			}
			if live, err := w.wait(ctx); err != nil || broken(live) {
				return err
			}
			if err := w.catchUp(nil); err != nil {
				return err
			}
		}
	}
}

// loggedRevision is the revision whose log people mean when they name none.
func loggedRevision(f folder.Run, state *run.State) int {
	if state.Server != nil && state.Server.Revision > 0 {
		return state.Server.Revision
	}
	all := f.Revisions()
	for _, n := range slices.Backward(all) {
		if f.Revision(n).LatestAttempt(0) > 0 {
			return n
		}
	}
	return max(f.NewestRevision(), 1)
}
