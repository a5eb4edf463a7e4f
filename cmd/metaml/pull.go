package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/launch/watch"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

func pullCommand(a *app) *cobra.Command {
	var which, to string
	var asJSON bool
	c := &cobra.Command{
		Use: "pull [RUN[:TRIAL]]", Short: "Fetch what a trial wrote into metaml.output(), and print the folder",
		Long: "Fetch what a trial wrote into metaml.output(), and print the folder with it. Of a run on this machine " +
			"it is there already. Without a trial, that of the best one; of a run with one trial, that one.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				name, text, named := run.CutTrial(args[0])
				if named && which != "" {
					return usage("%q and --trial %s name two trials", args[0], which)
				}
				if named {
					args[0], which = name, text
				}
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			trial, err := trialOf(&listed, which)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT)
			defer stop()
			coming := func() (came, all int64, ok bool) { return client.Runs.Coming(listed.Spec.Name, trial) }
			shown := func() {}
			if _, _, terminal := watch.Terminal(a.err); asJSON {
				shown = whileComing(coming, func(came, all int64) {
					_ = json.NewEncoder(a.out).Encode(comes{came, all, comingLine(trial, came, all), ""}) // for show
				}, func() {})
			} else if terminal {
				bar := &comingBar{to: a.err, trial: trial}
				shown = whileComing(coming, bar.draw, bar.remove)
			}
			dir, err := client.Runs.Outputs(ctx, listed.Spec.Name, trial)
			shown()
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return launch.ErrInterrupted
			}
			if err != nil {
				return err
			}
			if to != "" {
				if err := copyOutputs(dir, to); err != nil {
					return err
				}
				dir = to
			} else if _, err := os.Stat(dir); err != nil {
				return usererror.New(usererror.CodeOutputs, "trial %d of %s left nothing in metaml.output()", trial,
					listed.Spec.Name)
			}
			if asJSON {
				return json.NewEncoder(a.out).Encode(comes{Folder: dir})
			}
			_, err = fmt.Fprintln(a.out, dir)
			return err
		},
	}
	c.Flags().StringVar(&which, "trial", "", "which trial, or best")
	c.Flags().StringVar(&to, "to", "", "copy it into this folder, which is made")
	c.Flags().BoolVar(&asJSON, "json", false,
		"JSON: objects with how much has come, while it does, and one with the folder")
	return c
}

// trialOf finds the trial that somebody means of a run.
func trialOf(l *run.Listed, which string) (int, error) {
	trials := 0
	if l.State != nil {
		trials = len(l.State.Trials)
	}
	switch {
	case l.Spec.Kind == run.Serve:
		return 0, usererror.New(usererror.CodeTrial, "%s is a server, which leaves no files behind", l.Spec.Name)
	case which == "" && trials == 1:
		return 0, nil
	case which == "" || which == "best":
		best, err := l.State.Best()
		if err != nil {
			return 0, usererror.Wrap(err, usererror.CodeTrial, err.Error(),
				fmt.Sprintf("Name a trial: metaml pull %s --trial 0.", l.Spec.Name))
		}
		return best, nil
	}
	n, err := strconv.Atoi(which)
	if err != nil || n < 0 {
		return 0, usage("--trial takes the number of a trial or best, not %q", which)
	}
	return n, l.CheckTrial(n)
}

const (
	comingAfter = time.Second            // what comes sooner needs no bar
	comingEvery = 200 * time.Millisecond // often enough to see it move
	comingWidth = 24                     // of the bar, in characters
)

// comes is what --json prints: how many bytes have come, and of how many (0: not known); at the end the folder.
type comes struct {
	Came   int64  `json:"came,omitempty"`
	All    int64  `json:"all,omitempty"`
	Text   string `json:"text,omitempty"` // both, as a line with a bar
	Folder string `json:"folder,omitempty"`
}

// whileComing has draw show how much has come, again and again until stop is called, which calls end.
func whileComing(coming func() (came, all int64, ok bool), draw func(came, all int64), end func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		wait := time.NewTimer(comingAfter)
		defer wait.Stop()
		for {
			select {
			case <-quit:
				end()
				return
			case <-wait.C:
				wait.Reset(comingEvery)
			}
			if came, all, ok := coming(); ok {
				draw(came, all)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// comingLine is like "trial 3  ████████░░░░░░░░  120.0 MB of 240.0 MB".
func comingLine(trial int, came, all int64) string {
	if all == 0 {
		return fmt.Sprintf("trial %d  %s", trial, prose.Bytes(came))
	}
	full := int(min(came, all) * comingWidth / all)
	return fmt.Sprintf("trial %d  %s%s  %s of %s", trial, strings.Repeat("█", full),
		strings.Repeat("░", comingWidth-full), prose.Bytes(came), prose.Bytes(all))
}

// comingBar is that line on a terminal.
type comingBar struct {
	to    io.Writer
	trial int
	width int // of what is there
}

func (b *comingBar) draw(came, all int64) {
	line := comingLine(b.trial, came, all)
	fmt.Fprintf(b.to, "\r%-*s", b.width, line)
	b.width = max(b.width, utf8.RuneCountInString(line))
}

// remove leaves the line empty.
func (b *comingBar) remove() {
	if b.width > 0 {
		fmt.Fprintf(b.to, "\r%*s\r", b.width, "")
	}
}

// copyOutputs copies a folder into another one, which is not to have files of the same names.
func copyOutputs(from, to string) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return usererror.Wrap(err, usererror.CodeFolder, fmt.Sprintf("%s cannot be made: %v", to, err), "")
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			return usererror.Wrap(err, usererror.CodeFolder,
				fmt.Sprintf("%s cannot be copied: %v", filepath.Base(path.Path), path.Err),
				"Name another folder with --to, or remove what is there.")
		}
		return err
	}
	return nil
}
