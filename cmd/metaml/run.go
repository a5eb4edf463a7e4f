package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/launch"
)

func runCommand(a *app) *cobra.Command {
	var o fileOptions
	c := &cobra.Command{
		Use: "run NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Run the %%train or %%serve cell of a notebook, the @Train or @Serve function of a script, or a " +
			"program folder",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.session != "" {
				return a.converse(cmd.Context(), o.render, launch.ToRun)
			}
			source, err := o.source(cmd, args)
			if err != nil {
				return err
			}
			return a.runFile(cmd.Context(), source)
		},
	}
	fileFlags(c, &o)
	conversationFlags(c, &o)
	return c
}

// runFile plans, submits and shows what is in a file.
func (a *app) runFile(ctx context.Context, source launch.Source) error {
	caught := catchInterrupts()
	before, submitting := caught.end(ctx)
	defer submitting()
	s, plan, err := a.planned(before, source)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(a.err, s.Summary())
	for _, remark := range plan.Before {
		fmt.Fprintln(a.err, remark)
	}
	submitted, err := s.Submit(before, plan, launch.Progress{Say: func(text string) { fmt.Fprintln(a.err, text) }})
	if err != nil {
		return err
	}
	submitting()
	s.Close() // nothing of it is needed while the run is watched
	if s.Settings.Bool("detach") {
		fmt.Fprintln(a.out, submitted.Spec.Name)
		return nil
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	return a.show(ctx, client, submitted.Spec, launch.PlanNotes(plan, submitted), caught,
		launch.InterruptMeans(s.Settings))
}
