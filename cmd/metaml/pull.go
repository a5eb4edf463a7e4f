package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/usererror"
)

func pullCommand(a *app) *cobra.Command {
	var which, to string
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
			dir, err := client.Runs.Outputs(ctx, listed.Spec.Name, trial)
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
			_, err = fmt.Fprintln(a.out, dir)
			return err
		},
	}
	c.Flags().StringVar(&which, "trial", "", "which trial, or best")
	c.Flags().StringVar(&to, "to", "", "copy it into this folder, which is made")
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
