package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Keeper keeps what is in the output folders of trials, for attempts that come later.
type Keeper interface {
	// Keep keeps what is in dir now, in place of what it kept before; it returns when it is kept.
	Keep(ctx context.Context, id run.AttemptID, dir string) error
	// Restore puts into dir, which is empty, what was last kept of the trial by an attempt before id; nothing where
	// none did. After an error dir may have a part of it.
	Restore(ctx context.Context, id run.AttemptID, dir string) error
}

var (
	errAttemptOver = errors.New("the attempt has ended")
	errAbandoned   = errors.New("the call was interrupted")
)

const (
	// keptAtOnce bounds how many attempts of a run are kept at the same time: each has a few files open, and the disk
	// is no faster for more.
	keptAtOnce = 4
	// maxKeeps bounds the requests of an attempt that wait. Our module sends one at a time, and another one only when
	// an exception ended the wait for it.
	maxKeeps = 256
	// answerWithin is how long a trial that does not read its answers may hold them up.
	answerWithin = 5 * time.Second
	// maxAnswer bounds the sentence of an answer, in bytes.
	maxAnswer = 2 << 10
)

// keeping carries out the requests of one attempt to keep its output, beside what takes in its reports. Requests that
// came while one was carried out are carried out together.
type keeping struct {
	keep   func(context.Context) error
	answer *os.File

	ctx   context.Context //nolint:containedctx // the life of the attempt, which close ends
	end   context.CancelCauseFunc
	group sync.WaitGroup

	mu      sync.Mutex
	waiting []*keepRequest
	current []*keepRequest          // carried out at the moment
	giveUp  context.CancelCauseFunc // of what is carried out
	busy    bool
}

// keepRequest is one of a trial. It is abandoned when an exception ended the call of checkpoint(): then the files may
// change at once, and what would be kept was never whole.
type keepRequest struct {
	id        string
	abandoned bool
}

// newKeeping makes the keeping of an attempt. Its owner closes it.
func newKeeping(keep func(context.Context) error, answer *os.File) *keeping {
	k := &keeping{keep: keep, answer: answer}
	k.ctx, k.end = context.WithCancelCause(context.Background())
	return k
}

// request takes in a request. It does not wait.
func (k *keeping) request(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.add(&keepRequest{id: id})
}

// abandon takes a request back. It does not wait, and it is answered, too: when nothing is done for it any more.
func (k *keeping) abandon(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range slices.Concat(k.current, k.waiting) {
		if r.id == id && !r.abandoned {
			r.abandoned = true
			if len(k.current) > 0 && !slices.ContainsFunc(k.current, wanted) {
				k.giveUp(errAbandoned)
			}
			return
		}
	}
	k.add(&keepRequest{id: id, abandoned: true}) // it was answered already, or never came
}

func wanted(r *keepRequest) bool { return !r.abandoned }

// add lets a request wait for its turn. k.mu is held.
func (k *keeping) add(r *keepRequest) {
	if k.ctx.Err() != nil || len(k.waiting) >= maxKeeps {
		return
	}
	k.waiting = append(k.waiting, r)
	if !k.busy {
		k.busy = true
		k.group.Go(k.work)
	}
}

func (k *keeping) work() {
	for {
		k.mu.Lock()
		requests := k.waiting
		k.waiting = nil
		if len(requests) == 0 || k.ctx.Err() != nil {
			k.busy = false
			k.mu.Unlock()
			return
		}
		ctx, giveUp := context.WithCancelCause(k.ctx)
		k.current, k.giveUp = requests, giveUp
		if !slices.ContainsFunc(requests, wanted) {
			giveUp(errAbandoned)
		}
		k.mu.Unlock()
		err := context.Cause(ctx)
		if err == nil {
			err = k.keep(ctx)
		}
		k.mu.Lock()
		k.current = nil
		k.mu.Unlock()
		giveUp(nil)
		for _, r := range requests {
			k.say(r.id, err)
		}
	}
}

// keptMessage is the answer to a request (docs/internals/protocols.md §5).
type keptMessage struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Error string `json:"error,omitempty"`
	Errno int    `json:"errno,omitempty"` // of the system's error, if it was one
}

// say answers a request, unless nobody reads it.
func (k *keeping) say(id string, err error) {
	m := keptMessage{Type: "kept", ID: id}
	if err != nil {
		m.Error = whyNotKept(err)
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			m.Errno = int(errno)
		}
	}
	line, err := json.Marshal(m)
	if err != nil || k.ctx.Err() != nil {
		return
	}
	if k.answer.SetWriteDeadline(time.Now().Add(answerWithin)) == nil {
		_, _ = k.answer.Write(append(line, '\n')) // who is gone needs no answer
	}
}

// whyNotKept is a sentence about an error, for whoever called checkpoint().
func whyNotKept(err error) string {
	text := err.Error()
	if len(text) > maxAnswer {
		text = text[:maxAnswer] + " …"
	}
	if folder.NoSpace(err) {
		return fmt.Sprintf("checkpoint() could not keep what is in output(), since the disk is full: free some space, "+
			"or write less there; the checkpoint before it is still kept (%s)", text)
	}
	return fmt.Sprintf("checkpoint() could not keep what is in output(); the checkpoint before it is still kept: %s",
		text)
}

// close ends what is carried out, and returns when it has ended.
func (k *keeping) close() {
	k.mu.Lock()
	k.end(errAttemptOver) // no request is taken in after it
	k.mu.Unlock()
	_ = k.answer.SetWriteDeadline(time.Unix(1, 0))
	k.group.Wait()
}

// keep keeps the attempt's output, when it is its turn.
func (a *attempt) keep(ctx context.Context) error {
	select {
	case a.sup.keeps <- struct{}{}:
		defer func() { <-a.sup.keeps }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return a.sup.keeper.Keep(ctx, a.AttemptID, a.sup.opts.Folder.Output(a.Trial))
}

// begin makes the output folder what the attempt is to find there: what an attempt before it kept, and nothing else.
// What that one left is moved into its own folder. Nothing of it is left running.
func (a *attempt) begin() error {
	if a.begun || a.sup.opts.Spec.Server != nil {
		return nil
	}
	f := a.sup.opts.Folder
	before := f.LatestAttempt(a.Trial) // it may be this one, if its monitor was killed before it had written so
	if before == 0 && a.sup.opts.Keeper == nil {
		return nil // there is nothing in the run's folder
	}
	if before == 0 {
		before = a.Number
	}
	output, restoring := f.Output(a.Trial), f.Restoring(a.Trial)
	if err := putAside(output, f.LeftOutput(a.Trial, before)); err != nil {
		return fmt.Errorf("move away what attempt %d of trial %d left: %w", before, a.Trial, err)
	}
	if err := removeTree(restoring); err != nil {
		return fmt.Errorf("remove what was left of trial %d: %w", a.Trial, err)
	}
	if err := os.MkdirAll(restoring, 0o700); err != nil {
		return fmt.Errorf("make the output folder of trial %d: %w", a.Trial, err)
	}
	if err := a.restore(restoring); err != nil {
		return errors.Join(err, removeTree(restoring))
	}
	if os.Remove(restoring) != nil { // there is something in it
		restored, err := sizes(restoring, output)
		if err == nil {
			err = os.Rename(restoring, output)
		}
		if err != nil {
			return fmt.Errorf("make the output folder of trial %d: %w", a.Trial, err)
		}
		a.restored = restored
	}
	a.begun = true
	return nil
}

// restore puts what was kept into dir, until the attempt is signalled to end.
func (a *attempt) restore(dir string) error {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-a.cancel:
			end(errCancelled)
		case <-over:
		}
	}()
	if err := a.sup.keeper.Restore(ctx, a.AttemptID, dir); err != nil {
		return fmt.Errorf("give attempt %d of trial %d what was kept: %w", a.Number, a.Trial, err)
	}
	return nil
}

// unbegun is the end of an attempt that begin could not prepare: it is not started on nothing.
func unbegun(err error) run.AttemptEnd {
	end := internal(err)
	if end.Reason != run.ReasonDisk {
		end.Reason = run.ReasonOutput
	}
	return end
}

// putAside renames a folder, or what the trial put in its place, to a name that is free: to, or to-2 and so on. An
// empty folder is removed.
func putAside(dir, to string) error {
	if err := syscall.Rmdir(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	free := to
	for i := 2; ; i++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(dir, free)
		} else if err != nil {
			return err
		}
		free = fmt.Sprintf("%s-%d", to, i)
	}
}

// removeTree removes a folder, also where folders in it may not be written to.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a folder, whose entries can be removed then
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// sizes gives how large the files in a folder are, by the paths that they have when it is called to.
func sizes(dir, to string) (map[string]int64, error) {
	all := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil // the trial had made it so
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		all[filepath.Join(to, below)] = info.Size()
		return err
	})
	return all, err
}
