package front

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/run"
)

// served is a revision and what ends its connections.
type served struct {
	*revision
	ctx    context.Context //nolint:containedctx // the revision's life, which orders come to later
	cancel context.CancelCauseFunc
	slots  map[int]context.CancelCauseFunc
}

// serveOrders does what the monitor says. It returns when everything has ended; orphaned: because the monitor did.
func (f *front) serveOrders(ctx context.Context) (orphaned bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	written := make(chan struct{})
	go func() {
		defer close(written)
		f.writeNotices()
	}()
	defer func() {
		cancel(nil)
		f.tasks.Wait()
		close(f.noticesDone)
		<-written
		_ = f.control.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = f.control.CloseRead() })
	defer stop()
	in := frame.NewReader(f.control)
	defer in.Close()
	for {
		var o run.FrontOrder
		if err := frame.Read(in, &o); err != nil {
			if ctx.Err() != nil {
				f.end(context.WithoutCancel(ctx), 0)
				return false
			}
			if !errors.Is(err, io.EOF) {
				f.log(logLine{Error: "the monitor: " + err.Error()})
			}
			f.orphan(ctx)
			return true
		}
		switch o.Type {
		case run.OrderListen:
			f.listen(o.Address, in.Take())
		case run.OrderUnlisten:
			f.unlisten(o.Address)
		case run.OrderRevision:
			f.addRevision(ctx, o)
		case run.OrderScale:
			f.scale(o)
		case run.OrderWorker:
			f.addWorker(o) //nolint:contextcheck // its life is the revision's
		case run.OrderProbe:
			if r := f.revision(o.Revision); r != nil {
				f.tasks.Go(func() {
					probed := f.probe(r.revision, o.Body)
					f.notify(probed.Notice())
				})
			}
		case run.OrderSwitch:
			f.switchTo(o.Revision)
		case run.OrderRetire:
			f.retire(o.Revision)
		case run.OrderLeave:
			f.leaving.Store(true)
		case run.OrderStop:
			f.end(ctx, time.Duration(o.GraceMS)*time.Millisecond)
			return false
		}
	}
}

// all gives the revisions that there are.
func (f *front) all() []*revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*revision, 0, len(f.revisions))
	for _, r := range f.revisions {
		all = append(all, r.revision)
	}
	return all
}

func (f *front) revision(number int) *served {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revisions[number]
}

func (f *front) addRevision(ctx context.Context, o run.FrontOrder) {
	if f.revision(o.Revision) != nil || o.Workers < 1 || o.Workers > run.MaxWorkers || !strings.HasPrefix(o.Path, "/") {
		return
	}
	r := newRevision(f, o.FrontRevision())
	s := &served{revision: r, slots: map[int]context.CancelCauseFunc{}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	f.mu.Lock()
	f.revisions[o.Revision] = s
	f.mu.Unlock()
}

func (f *front) addWorker(o run.FrontOrder) {
	s := f.revision(o.Revision)
	if s == nil || o.Worker < 0 || o.Worker >= s.Workers {
		return
	}
	s.mu.Lock()
	before := s.attempts[o.Worker]
	if o.Attempt > before {
		s.attempts[o.Worker] = o.Attempt
	}
	s.mu.Unlock()
	if o.Attempt <= before {
		return
	}
	if replaced := s.slots[o.Worker]; replaced != nil {
		f.metrics.restarts.Inc()
		replaced(errReplaced)
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.slots[o.Worker] = cancel
	f.tasks.Go(func() {
		defer cancel(nil)
		s.attach(ctx, o.FrontWorker())
	})
}

var errReplaced = errors.New("another attempt has taken its place")

// scale gives a revision more places for workers, or fewer. Those that have none any more get no more calls, and leave
// when they have answered what they had; an attempt that leaves does not come back.
func (f *front) scale(o run.FrontOrder) {
	s := f.revision(o.Revision)
	if s == nil || o.Workers < 1 || o.Workers > run.MaxWorkers {
		return
	}
	var idle []*worker
	var absent []run.WorkerID
	s.mu.Lock()
	for len(s.workers) < o.Workers {
		s.workers = append(s.workers, nil)
	}
	for i := o.Workers; i < s.Workers; i++ {
		switch w := s.workers[i]; {
		case w != nil:
			w.leaving = true
			delete(s.slots, i) // its end is its own
			if len(w.flights) == 0 {
				idle = append(idle, w)
			}
		case s.slots[i] != nil: // it has not greeted, or has hung up
			absent = append(absent, run.WorkerID{Revision: s.Number, Index: i, Attempt: s.attempts[i]})
		}
	}
	s.Workers = o.Workers
	s.mu.Unlock()
	for _, w := range idle {
		w.leave()
	}
	for _, id := range absent {
		s.slots[id.Index](errLeft)
		delete(s.slots, id.Index)
		f.notify(id.Notice(run.NoticeLeft))
	}
}

var errLeft = errors.New("there were more workers than wanted")

// switchTo has new requests go to a revision.
func (f *front) switchTo(number int) {
	s := f.revision(number)
	if s == nil {
		return
	}
	s.undrain()
	before := f.current.Swap(s.revision)
	f.notify(run.FrontNotice{Type: run.NoticeSwitched, Revision: number})
	if before != nil && before != s.revision {
		before.drain()
	}
}

func (f *front) retire(number int) {
	f.mu.Lock()
	s := f.revisions[number]
	delete(f.revisions, number)
	f.mu.Unlock()
	if s == nil {
		return
	}
	f.current.CompareAndSwap(s.revision, nil)
	s.drain()
	s.close(errRetired)
	s.cancel(errRetired)
}
