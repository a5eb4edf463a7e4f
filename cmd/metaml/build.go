package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/launch"
)

func buildCommand(a *app) *cobra.Command {
	var o fileOptions
	c := &cobra.Command{
		Use:   "build NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Make the image that a run on a cluster would get, print its name by digest, and start nothing",
		Long: "Make the image that a run on a cluster would get: the packages that the environment has, with the " +
			"program on top. It goes into\nthe repository, and its name by digest is printed:\n\n" +
			"  metaml build sweep.py --repository registry.example/team/environments\n\n" +
			"The target is kubernetes, whatever else is named. Without a cluster that answers the image is for " +
			"linux/amd64.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.session != "" {
				return a.converse(cmd.Context(), o.render, launch.ToBuild)
			}
			source, err := o.source(cmd, args)
			if err != nil {
				return err
			}
			return a.buildFile(cmd.Context(), source)
		},
	}
	fileFlags(c, &o)
	conversationFlags(c, &o)
	return c
}

// buildFile makes the image of what is in a file.
func (a *app) buildFile(ctx context.Context, source launch.Source) error {
	return a.ofImage(ctx, source, func(ctx context.Context, s *launch.Submission, to launch.Progress) error {
		is, err := s.Build(ctx, to)
		if err == nil {
			_, err = fmt.Fprintln(a.out, is.Reference)
		}
		return err
	})
}

// ofImage opens what is in a file for the image that a run of it would get.
func (a *app) ofImage(
	ctx context.Context, source launch.Source, does func(context.Context, *launch.Submission, launch.Progress) error,
) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	source.Build = true
	s, err := a.launcher().Open(ctx, source)
	if err != nil {
		return launch.OrInterrupted(ctx, err)
	}
	defer s.Close()
	if err := s.Prepare(ctx); err != nil {
		return launch.OrInterrupted(ctx, err)
	}
	return launch.OrInterrupted(
		ctx,
		does(ctx, s, launch.Progress{Say: func(text string) { fmt.Fprintln(a.err, text) }}),
	)
}
