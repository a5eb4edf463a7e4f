package main

import (
	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/launch/watch"
)

func attachCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "attach [RUN]", Short: "Watch a run until it ends; Ctrl-C leaves it running", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
	}
	interrupt, check := launch.AttachFlags(c.Flags())
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := check(); err != nil {
			return err
		}
		client, listed, err := a.load(cmd.Context(), args)
		if err != nil {
			return err
		}
		caught := catchInterrupts()
		return a.show(cmd.Context(), client, watch.Revision(client, &listed), nil, caught, *interrupt)
	}
	return c
}
