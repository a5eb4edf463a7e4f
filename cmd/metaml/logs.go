package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

func logsCommand(a *app) *cobra.Command {
	var (
		trial, attempt int
		follow         bool
		stream         string
	)
	c := &cobra.Command{
		Use: "logs [RUN[:TRIAL]]", Short: "Print what a trial, or a server's worker, printed", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				name, n, err := parseTrial(args[0])
				if err != nil {
					return err
				}
				args[0] = name
				if n != nil {
					trial = *n
				}
			}
			door, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT)
			defer stop()
			one := cmd.Flags().Changed("worker") || cmd.Flags().Changed("trial") || trial > 0 || attempt > 0
			if listed.Spec.Kind == run.Serve && !one {
				err = a.workerLogs(ctx, door, &listed, stream, follow)
			} else {
				err = door.Target.Log(ctx, listed.Spec.Name, trial, attempt, stream, follow, a.out)
			}
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return errInterrupted
			}
			return err
		},
	}
	c.Flags().IntVar(&trial, "trial", 0, "which trial")
	c.Flags().IntVar(&trial, "worker", 0, "which worker of a server; without it, all of them one after the other")
	c.Flags().IntVar(&attempt, "attempt", 0, "which attempt, from 1; the latest without it")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the trial ends")
	c.Flags().StringVar(&stream, "stream", "both", "stdout, stderr or both")
	return c
}

// workerLogs prints what a server's top level printed, and the logs of all its workers: one after the other, or, when they are
// followed, each line as it comes with its worker's number.
func (a *app) workerLogs(ctx context.Context, door *deployer.Door, l *run.Listed, stream string, follow bool) error {
	spec := looked(door, l)
	loader := folder.Run(door.Target.Places(spec.Name, 0, 1).Folder).Revision(spec.Server.Revision).Loader()
	for _, name := range []string{folder.Stdout, folder.Stderr} {
		if stream != "both" && stream != name {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(loader, name)); err == nil && len(text) > 0 {
			fmt.Fprintf(a.out, "%s", text)
		}
	}
	if !follow {
		for i := range spec.Completions {
			if spec.Completions > 1 {
				fmt.Fprintf(a.out, "── worker %d\n", i)
			}
			if err := door.Target.Log(ctx, spec.Name, i, 0, stream, false, a.out); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		group sync.WaitGroup
		out   = &lockedWriter{to: a.out}
		errs  = make([]error, spec.Completions)
	)
	for i := range errs {
		group.Go(func() {
			w := &prefixed{to: out, prefix: fmt.Sprintf("worker %d  ", i)}
			errs[i] = door.Target.Log(ctx, l.Spec.Name, i, 0, stream, true, w)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// lockedWriter lets several write whole lines to one stream.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// prefixed writes each whole line with something in front.
type prefixed struct {
	to     io.Writer
	prefix string
	part   []byte
}

func (w *prefixed) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		end := bytes.IndexByte(w.part, '\n')
		if end < 0 {
			return len(p), nil
		}
		if _, err := w.to.Write(append([]byte(w.prefix), w.part[:end+1]...)); err != nil {
			return 0, err
		}
		w.part = w.part[end+1:]
	}
}

// ignoreInterrupt is a context for what must be finished once it began.
func ignoreInterrupt(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
