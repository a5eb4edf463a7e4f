package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/launch"
)

func resumeCommand(a *app) *cobra.Command {
	var detach bool
	c := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with what a run left unfinished after a stop, a crash or a restart of the machine",
		Args:  cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			caught := catchInterrupts()
			if err := client.Resume(cmd.Context(), listed.Spec.Name); err != nil {
				return err
			}
			if detach {
				fmt.Fprintln(a.out, listed.Spec.Name)
				return nil
			}
			return a.show(cmd.Context(), client, listed.Spec, nil, caught, launch.InterruptAgain(listed.Spec))
		},
	}
	c.Flags().BoolVar(&detach, "detach", false, "return at once")
	return c
}
