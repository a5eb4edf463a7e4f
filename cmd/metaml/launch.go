package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/launch/watch"
)

// launcher gives what a launch needs of this process.
func (a *app) launcher() *launch.Launcher {
	binary, err := os.Executable()
	if err != nil {
		binary = "" // the module searches for one itself
	}
	cache, err := os.UserCacheDir()
	if err == nil {
		cache = filepath.Join(cache, "metaml")
	}
	return &launch.Launcher{
		Cache: cache,
		In:    a.in, Out: a.out, Err: a.err, Environ: a.environ, Dir: a.cwd, Binary: binary,
		Client: a.client,
	}
}

// converse serves one cell or one decorated call.
func (a *app) converse(ctx context.Context, render bool, what launch.Purpose) error {
	// Who interrupts a kernel may send the signal to all that it started. We are stopped by a line, from who knows
	// the cell.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, os.Interrupt)
	defer signal.Stop(dropped)
	return a.launcher().Converse(ctx, render, what)
}

// interrupts are what Ctrl-C delivers to a command from its beginning, so that none is lost between two steps of it.
type interrupts struct {
	signals chan os.Signal
	early   []watch.Request // what came while it was submitted
}

// catchInterrupts catches them until release is called, or the process ends: a command that shows a run does not
// release them, since one that comes after its last word would make 130 of the exit code that goes with it.
func catchInterrupts() *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 4)} // a few impatient presses
	signal.Notify(i.signals, os.Interrupt)
	return i
}

func (i *interrupts) release() { signal.Stop(i.signals) }

// next is what another interrupt requests: the second and all later ones mean "now".
func (i *interrupts) next() watch.Request {
	if len(i.early) > 0 {
		return watch.Now
	}
	return watch.Interrupt
}

// end gives a context that an interrupt ends, for what starts nothing before it is done, until the returned function is
// called, which may be more than once. What could not be ended any more is requested of the run then.
func (i *interrupts) end(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with the returned function
		defer close(ended)
		for {
			select {
			case <-i.signals:
				i.early = append(i.early, i.next())
				cancel(launch.ErrInterrupted)
			case <-over:
				return
			}
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(over)
		<-ended
		cancel(nil)
	})
}

// interruptible gives a context that an interrupt ends, for a command that starts nothing, until the returned function
// is called.
func interruptible(ctx context.Context) (context.Context, func()) {
	caught := catchInterrupts()
	ctx, stop := caught.end(ctx)
	return ctx, func() { stop(); caught.release() }
}

// requests delivers each further one, until the returned function is called.
func (i *interrupts) requests(ctx context.Context) (<-chan watch.Request, func()) {
	requests := make(chan watch.Request)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with the returned function
		for what := i.next(); ; what = watch.Now {
			select {
			case <-i.signals:
			case <-ctx.Done():
				return
			}
			select {
			case requests <- what:
			case <-ctx.Done():
				return
			}
		}
	}()
	return requests, func() { cancel(nil) }
}

// ignoreInterrupt is a context for what must be finished once it began.
func ignoreInterrupt(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// planned opens and plans what is in a file, until an interrupt ends ctx. Close the submission.
func (a *app) planned(ctx context.Context, source launch.Source) (*launch.Submission, *deployer.Plan, error) {
	s, err := a.launcher().Open(ctx, source)
	var plan *deployer.Plan
	if err == nil {
		if plan, err = s.Plan(ctx); err != nil {
			s.Close()
		}
	}
	return s, plan, launch.OrInterrupted(ctx, err)
}

// show watches a run to its end, or a server until it is ready, on the standard error stream; the error is that of the
// exit code. interrupt is what Ctrl-C means.
func (a *app) show(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, caught *interrupts, interrupt string,
) error {
	requests, stop := caught.requests(ctx)
	defer stop()
	options := watch.Options{
		Remarks: remarks, Interrupt: interrupt, Proxy: a.getenv("JUPYTERHUB_SERVICE_PREFIX"), Early: caught.early,
	}
	end, err := watch.Until(ctx, client, spec, options, watch.NewTerminal(a.err, a.environ), requests)
	if err != nil {
		return err
	}
	return a.ended(end, spec)
}

// ended says how a run or a server ended.
func (a *app) ended(end watch.End, spec run.Spec) error {
	name, server := spec.Name, spec.Kind == run.Serve
	switch end.Ending {
	case watch.Well:
		if server {
			fmt.Fprintf(a.err, "metaml logs %s shows what it prints, metaml stop %s stops it\n", name, name)
		}
		return nil
	case watch.Detached:
		fmt.Fprintf(a.err, "%s goes on; metaml attach %s shows it again, metaml stop %s stops it\n", name, name, name)
		return nil
	case watch.Interrupted:
		return launch.ErrInterrupted
	}
	if !server { // a server's panel has said it
		fmt.Fprintln(a.err, "metaml: "+end.Text)
	}
	if body := strings.Join(end.Traceback, "\n"); body != "" {
		fmt.Fprintln(a.err, body)
	}
	return errSaid
}
