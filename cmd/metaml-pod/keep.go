package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metaml/metaml/agent"
	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/archive"
	"github.com/metaml/metaml/deployer/collect/send"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

const (
	keepFor    = 2 * time.Minute  // how long a checkpoint is tried to be kept while the monitor is not reached
	restoreFor = time.Minute      // the same for what the attempt before kept
	leaveFor   = 20 * time.Second // the same for what the trial leaves behind, at its end
	keepAgain  = time.Second      // between two tries
	leaveEvery = 30 * time.Second // how often what is in the folder is sent while the trial runs
	leavePause = 20               // nor is that done in more than this part of the time
)

// keeper keeps the files of this pod's trial at the monitor of the run: at each checkpoint() for the attempt that
// follows, and what is in the folder now and then, and at the end, for who reads the results.
type keeper struct {
	to   send.Monitor
	of   collect.Output // without its kind
	dir  string         // the trial's output folder
	uses bool           // the program is known to use it

	cancel context.CancelCauseFunc
	all    sync.WaitGroup
	sent   string // how the folder looked when it was sent
}

var _ agent.Keeper = (*keeper)(nil)

// newKeeper makes the keeper of a trial; nil, where another keeps its files, or nobody does.
func (t *trial) newKeeper() *keeper {
	if t.trials != "" || t.noOutputs {
		return nil
	}
	to, err := t.monitor.parse()
	if err != nil {
		return nil // a note says so
	}
	return &keeper{
		to: to, dir: t.folder.Output(t.attempt.Trial), uses: pod.UsesOutput(t.folder.Code()),
		of: collect.Output{Trial: t.attempt.Trial, Attempt: t.attempt.Number, Round: t.round},
	}
}

// try does something again and again until it is done, is refused for good, or has failed for a time.
func try(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	for end := time.Now().Add(patience); ; {
		err := do(ctx)
		if _, refused := errors.AsType[*send.RefusedError](err); err == nil || refused || ctx.Err() != nil ||
			errors.Is(err, fs.ErrPermission) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(keepAgain):
		}
	}
}

// Keep implements [agent.Keeper].
func (k *keeper) Keep(ctx context.Context, _ run.AttemptID, dir string) error {
	err := try(ctx, keepFor, func(ctx context.Context) error { return k.put(ctx, collect.Checkpoint, dir) })
	if r, ok := errors.AsType[*send.RefusedError](err); ok && r.Status == 507 {
		return fmt.Errorf("%w; --output pvc:NAME has it on a volume", err)
	}
	return err
}

// Restore implements [agent.Keeper].
func (k *keeper) Restore(ctx context.Context, id run.AttemptID, dir string) error {
	if id.Number < 2 && k.of.Round < 2 {
		return nil
	}
	patience := restoreFor
	if !k.uses { // a monitor that is cut off is to cost such a trial no time
		patience = 0
	}
	err := try(ctx, patience, func(ctx context.Context) error {
		if err := empty(dir); err != nil { // of the try before
			return err
		}
		_, err := k.to.GetOutput(ctx, id.Trial, collect.Checkpoint, func(r io.Reader) error {
			return archive.Read(ctx, r, dir)
		})
		return err
	})
	if err != nil && !k.uses {
		return empty(dir) // it is not missed
	}
	return err
}

// empty removes what is in a folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func (k *keeper) put(ctx context.Context, kind collect.Kind, dir string) error {
	of := k.of
	of.Kind = kind
	return k.to.PutOutput(ctx, of, func(w io.Writer) error { return archive.Write(ctx, w, dir) })
}

// start begins to send what is in the folder now and then: a pod that is killed for its memory sends nothing at its
// end. Whoever calls it calls finish.
func (k *keeper) start(ctx context.Context) {
	ctx, k.cancel = context.WithCancelCause(ctx)
	k.all.Go(func() {
		for pause := leaveEvery; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			began := time.Now()
			_ = k.leave(ctx) // what fails is tried again
			pause = max(leaveEvery, leavePause*time.Since(began))
		}
	})
}

// leave sends what is in the folder, if it has changed.
func (k *keeper) leave(ctx context.Context) error {
	look, any := looks(k.dir)
	if !any && k.sent == "" || look == k.sent {
		return nil
	}
	if err := k.put(ctx, collect.Latest, k.dir); err != nil {
		return err
	}
	k.sent = look
	return nil
}

// errEnded is why nothing is sent any more beside a trial that has ended.
var errEnded = errors.New("the trial has ended")

// finish sends what the trial has left behind, for a limited time.
func (k *keeper) finish(ctx context.Context, patience time.Duration) error {
	k.cancel(errEnded)
	k.all.Wait()
	return try(ctx, patience, k.leave)
}

// looks says how a folder looks: names, sizes and times of what is in it. any is false if that is nothing.
func looks(dir string) (text string, any bool) {
	sum := sha256.New()
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return nil //nolint:nilerr // it is gone, or was never made
		}
		any = true
		if info, err := entry.Info(); err == nil {
			fmt.Fprintf(sum, "%s %d %d %o\n", path, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
		return nil
	})
	return string(sum.Sum(nil)), any
}
