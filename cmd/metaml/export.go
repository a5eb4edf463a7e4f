package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
)

func exportCommand(a *app) *cobra.Command {
	var o fileOptions
	c := &cobra.Command{
		Use:   "export NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Print what would run on a cluster as YAML that kubectl apply takes, and start nothing",
		Long: "Print what would run on a cluster as YAML that kubectl apply takes, and start nothing:\n\n" +
			"  metaml export sweep.py --target kubernetes --image IMAGE | kubectl apply -f -\n\n" +
			"What is printed needs nothing of MetaML to run. Its name is the one that the next run of the function " +
			"would get. Once it is applied, metaml runs\n--target kubernetes lists it, and every command takes it " +
			"like any other run. Apply it once: another run is exported anew.\n\n" +
			"The value of a secret is not exported; --secret takes only one that the namespace has: " +
			"--secret NAME=SECRET/KEY.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := o.source(cmd, args)
			if err != nil {
				return err
			}
			return a.exportFile(cmd.Context(), source)
		},
	}
	fileFlags(c, &o)
	return c
}

// exportFile prints what would run and starts nothing.
func (a *app) exportFile(ctx context.Context, source launch.Source) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	source.Export = true
	s, plan, err := a.planned(ctx, source)
	if err != nil {
		return err
	}
	defer s.Close()
	text, err := s.Export(ctx, plan)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	for _, remark := range slices.Concat(plan.Before, plan.Notes) {
		fmt.Fprintln(a.err, remark)
	}
	_, err = view.Raw(a.out).Write(text)
	return err
}
