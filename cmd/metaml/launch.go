package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/launch/watch"
)

// launcher gives what a launch needs of this process.
func (a *app) launcher() *launch.Launcher {
	binary, err := os.Executable()
	if err != nil {
		binary = "" // the module looks for one itself
	}
	return &launch.Launcher{
		In: a.in, Out: a.out, Err: a.err, Environ: a.environ, Dir: a.cwd, Binary: binary, Client: a.client,
	}
}

// converse serves one cell or one decorated call.
func (a *app) converse(ctx context.Context, render, planOnly bool) error {
	// Who interrupts a kernel may send the signal to all that it started. We are told to stop by a line, from who knows
	// the cell.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, os.Interrupt)
	defer signal.Stop(dropped)
	return a.launcher().Converse(ctx, render, planOnly)
}

// planned opens and plans what is in a file. The returned function removes what that needed; it may be called twice.
// Until then an interrupt ends the planning, or does nothing.
func (a *app) planned(
	ctx context.Context, source launch.Source,
) (*launch.Submission, *deployer.Plan, func(), error) {
	all := ctx
	ctx, uncaught := signal.NotifyContext(ctx, os.Interrupt)
	s, err := a.launcher().Open(ctx, source)
	end := uncaught
	var plan *deployer.Plan
	if err == nil {
		end = func() { s.Close(); uncaught() }
		plan, err = s.Plan(ctx)
	}
	if err != nil {
		if ctx.Err() != nil && all.Err() == nil {
			err = launch.ErrInterrupted
		}
		end()
		return nil, nil, nil, err
	}
	return s, plan, end, nil
}

// show watches a run to its end, or a server until it is ready, on the standard error stream; the error is that of the
// exit code.
func (a *app) show(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string,
) error {
	requests, stop := interrupts(ctx)
	defer stop()
	options := watch.Options{Remarks: remarks, Interrupt: interrupt, Proxy: a.getenv("JUPYTERHUB_SERVICE_PREFIX")}
	end, err := watch.Until(ctx, client, spec, options, watch.NewTerminal(a.err, a.environ), requests)
	if err != nil {
		return err
	}
	return a.ended(end, spec)
}

// ended tells how a run or a server ended.
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

// interrupts delivers each Ctrl-C; the second and all later ones mean "now".
func interrupts(ctx context.Context) (<-chan watch.Request, func()) {
	signals := make(chan os.Signal, 4) // a few impatient presses
	signal.Notify(signals, os.Interrupt)
	requests := make(chan watch.Request)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with the returned function
		what := watch.Interrupt
		for {
			select {
			case <-signals:
				select {
				case requests <- what:
					what = watch.Now
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return requests, func() { signal.Stop(signals); cancel(nil) }
}
