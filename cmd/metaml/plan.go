package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
)

func planCommand(a *app) *cobra.Command {
	var o fileOptions
	c := &cobra.Command{
		Use:   "plan NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Show what would run: the slice, the table, the settings, the threads; start no trial",
		Long: "Show what would run: the slice, the table, the settings, the threads. No trial and no server is " +
			"started. Where the cell names hyperparameters\n" +
			"they are drawn, which executes the code that makes them; nothing else of the file is executed.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.session != "" {
				return a.converse(cmd.Context(), o.render, launch.ToPlan)
			}
			source, err := o.source(cmd, args)
			if err != nil {
				return err
			}
			return a.planFile(cmd.Context(), source, o.json)
		},
	}
	fileFlags(c, &o)
	conversationFlags(c, &o)
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

// planFile says what would run and starts no trial.
func (a *app) planFile(ctx context.Context, source launch.Source, asJSON bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	s, plan, err := a.planned(ctx, source)
	if err != nil {
		return err
	}
	defer s.Close()
	outline, err := plan.Outline(ctx)
	if err != nil {
		return err
	}
	if !asJSON {
		_, err = io.WriteString(a.out, s.PlanText(plan, outline))
		return err
	}
	j, err := s.PlanJSON(plan, outline)
	if err != nil {
		return err
	}
	return view.PrintJSON(a.out, j)
}
