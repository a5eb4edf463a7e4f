package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

const (
	maxFrontLog = 32 << 20        // bytes of front.log before it is begun anew
	closeGrace  = 5 * time.Second // for a killed front to be gone
)

// driver feeds an engine and is its files, sockets and processes. What happens elsewhere goes through inbox, so that
// the engine and all of this but the goroutines of group belongs to the goroutine of drive.
type driver struct {
	ctx    context.Context //nolint:containedctx // the life of drive, which bounds the search for a port
	opts   Options
	folder folder.Run
	engine *Engine
	inbox  chan input
	done   chan struct{} // closed when nobody takes from inbox any more
	group  sync.WaitGroup

	running   map[int]*running // supervisors that were not closed, by revision
	frontGone chan struct{}    // closed when the latest front has ended
	takenOver func()
	stops     int64 // offset of the stop requests that were read
}

// running is a supervisor.
type running struct {
	sup    engine.Supervisor
	closed chan struct{}
}

// input is one thing that happened elsewhere.
type input struct {
	revision int // of update, or that was closed
	update   *run.Update
	closed   bool
	front    int // attempt, of notice
	notice   *run.FrontUpdate
}

func newDriver(ctx context.Context, o Options, j *journal) *driver {
	d := &driver{
		ctx: ctx, opts: o, folder: o.Folder, inbox: make(chan input, 256), done: make(chan struct{}),
		running:   map[int]*running{},
		takenOver: sync.OnceFunc(o.TakenOver),
	}
	j.reserve = diskReserve(o.Folder)
	d.engine = newEngine(j, d, d, d)
	d.engine.frontLog = o.Folder.FrontLog()
	return d
}

// diskReserve is the file that keeps space on the disk.
type diskReserve folder.Run

// Keep makes the file, where there is room for it.
func (r diskReserve) Keep() { folder.Run(r).KeepReserve() }

// GiveUp removes the file.
func (r diskReserve) GiveUp() { _ = os.Remove(folder.Run(r).Reserve()) }

// drive is the life of the server, until it has ended or the context has.
func (d *driver) drive(resumed bool) error {
	defer d.close()
	watch, err := d.folder.WatchStops(filepath.Dir(string(d.folder.Revision(1))))
	if err != nil {
		return err
	}
	defer watch.Close()
	check := time.NewTicker(engine.LookEvery)
	defer check.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	d.engine.open(resumed, d.inherited())
	d.readStops()
	leave := d.opts.Leave
	logged := false // that events wait for room on the disk, since the last check
	for {
		if err := d.engine.commit(); err != nil && !logged {
			logged = true
			d.Log(err)
		}
		if d.engine.over() {
			return d.engine.last()
		}
		wait := time.Hour
		if at, ok := d.engine.next(); ok {
			wait = max(at.Sub(d.engine.now()), 0)
		}
		timer.Reset(wait)
		select {
		case <-d.ctx.Done():
			return context.Cause(d.ctx)
		case in := <-d.inbox:
			d.handle(in)
			d.drain()
		case <-leave:
			leave = nil
			d.engine.leave()
		case <-timer.C:
			d.engine.tick()
		case <-watch.C:
			d.readStops()
			d.engine.scan()
		case <-check.C:
			if d.folder.Gone() {
				return engine.ErrDeleted
			}
			logged = false
			if d.engine.full == nil {
				d.folder.KeepReserve() // it may have been taken
			}
			d.capFrontLog()
		}
	}
}

// post has the engine take in something soon.
func (d *driver) post(in input) {
	select {
	case d.inbox <- in:
	case <-d.done:
	}
}

func (d *driver) handle(in input) {
	switch {
	case in.notice != nil:
		d.engine.frontUpdate(in.front, *in.notice)
	case in.update != nil:
		d.engine.update(in.revision, *in.update)
	case in.closed:
		d.engine.closed(in.revision)
	}
}

// drain takes in what else is there, so that it is written at once.
func (d *driver) drain() {
	for range cap(d.inbox) {
		select {
		case in := <-d.inbox:
			d.handle(in)
		default:
			return
		}
	}
}

// close ends what is left.
func (d *driver) close() {
	close(d.done)
	if d.engine.front != nil {
		// First of all, since it would start another monitor.
		d.engine.front.Kill()
		select {
		case <-d.frontGone:
		case <-time.After(closeGrace):
		}
	}
	for _, r := range d.running {
		d.group.Go(r.sup.Close)
	}
	d.group.Wait()
	for _, l := range d.engine.listeners() {
		d.CloseListener(l)
	}
}

// inherited takes over the sockets of a front whose monitor died.
func (d *driver) inherited() []*listener {
	var all []*listener
	for _, file := range d.opts.Listeners {
		l, err := adopt(file)
		if err != nil {
			d.Log(err)
			_ = file.Close()
			continue
		}
		all = append(all, l)
	}
	return all
}

func (d *driver) readStops() {
	stops, offset, err := d.folder.ReadStops(d.stops)
	if err != nil {
		d.Log(err)
		return
	}
	d.stops = offset
	for _, s := range stops {
		d.engine.stopRequest(s)
	}
}

// capFrontLog begins the front's log anew when it has grown too long; what was in it is kept once.
func (d *driver) capFrontLog() {
	path := d.folder.FrontLog()
	info, err := os.Stat(path)
	if err != nil || info.Size() < maxFrontLog {
		return
	}
	data, err := os.ReadFile(path)
	if err == nil {
		_ = os.WriteFile(folder.BeforeLog(path), data, 0o600)
		_ = os.Truncate(path, 0) // its writer appends
	}
}

// Supervise makes the supervisor of a revision and hands over what it says.
func (d *driver) Supervise(n int, v *version) (engine.Supervisor, error) {
	f := d.folder.Revision(n)
	environ, err := f.ReadEnvironment()
	if errors.Is(err, os.ErrNotExist) {
		environ, err = os.Environ(), nil
	}
	if err != nil {
		return nil, err
	}
	sup, err := d.opts.Supervise(engine.Job{Spec: v.spec, Folder: f, Environ: environ})
	if err != nil {
		return nil, err
	}
	r := &running{sup: sup, closed: make(chan struct{})}
	d.running[n] = r
	d.group.Go(func() {
		for {
			select {
			case u := <-sup.Updates():
				d.post(input{revision: n, update: &u})
			case <-r.closed:
				return
			case <-d.done:
				return
			}
		}
	})
	return sup, nil
}

// CloseRevision closes the supervisor of a revision.
func (d *driver) CloseRevision(n int) {
	r := d.running[n]
	delete(d.running, n)
	d.group.Go(func() {
		r.sup.Close()
		close(r.closed)
		d.post(input{revision: n, closed: true})
	})
}

// StartFront starts a front and hands over what it says.
func (d *driver) StartFront(attempt int, listeners []*listener) (Front, error) {
	files := make([]*os.File, len(listeners))
	for i, l := range listeners {
		files[i] = l.file
	}
	gone := make(chan struct{})
	f, err := d.opts.StartFront(files, func(u run.FrontUpdate) {
		if u.Ended != nil {
			close(gone)
		}
		d.post(input{front: attempt, notice: &u})
	})
	if err != nil {
		return nil, err
	}
	d.frontGone = gone
	return f, nil
}

// TakenOver says, once, that a front has all its orders.
func (d *driver) TakenOver() { d.takenOver() }

// Listen makes the socket of a revision.
func (d *driver) Listen(v *version, before int) (*listener, error) { return listen(d.ctx, v, before) }

// CloseListener closes a socket.
func (d *driver) CloseListener(l *listener) { l.close() }

// Revisions lists those that were submitted.
func (d *driver) Revisions() []int { return d.folder.Revisions() }

// Version reads what a revision is.
func (d *driver) Version(n int) (*version, error) {
	f := d.folder.Revision(n)
	spec, err := f.ReadSpec()
	if err == nil && spec.Server == nil {
		err = errors.New("its run.json is not one of a server")
	}
	if err != nil {
		return nil, err
	}
	v := newVersion(spec)
	v.loaderLog = f.Loader()
	if spec.Server.Locked() {
		token, err := d.folder.ReadToken()
		if err != nil { // a front that has no token would answer everybody
			return nil, err
		}
		v.token = run.TokenSum(token)
	}
	return v, nil
}

// LatestAttempt is the latest attempt of a worker.
func (d *driver) LatestAttempt(n, index int) int { return d.folder.Revision(n).LatestAttempt(index) }

// Replicas is how many replicas were requested last.
func (d *driver) Replicas() (n int, ok bool) { return d.folder.ReadReplicas() }

// stderr is the log of a worker, as one attempt of it writes it.
func (d *driver) stderr(w run.WorkerID) string {
	return filepath.Join(d.folder.Revision(w.Revision).Attempt(w.Index, w.Attempt), folder.Stderr)
}

// Tail gives the last lines of a worker's log.
func (d *driver) Tail(w run.WorkerID, lines int, size int64) string {
	return folder.Tail(d.stderr(w), lines, size)
}

// AppendLog adds a line to a worker's log.
func (d *driver) AppendLog(w run.WorkerID, line string) {
	f, err := os.OpenFile(d.stderr(w), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	_, err = fmt.Fprintln(f, line)
	if err = errors.Join(err, f.Close()); err != nil {
		d.Log(err)
	}
}

// RemoveAttempt removes what an attempt of a worker wrote.
func (d *driver) RemoveAttempt(w run.WorkerID) {
	_ = os.RemoveAll(d.folder.Revision(w.Revision).Attempt(w.Index, w.Attempt))
}

// RemoveEnvironment removes the environment of a revision.
func (d *driver) RemoveEnvironment(n int) { _ = os.Remove(d.folder.Revision(n).EnvironmentFile()) }

// Log writes to the monitor's own log.
func (d *driver) Log(err error) { fmt.Fprintln(os.Stderr, err) }
