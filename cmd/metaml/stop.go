package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/report"
)

func stopCommand(a *app) *cobra.Command {
	var (
		trial int
		now   bool
	)
	c := &cobra.Command{
		Use:   "stop RUN[:TRIAL]",
		Short: "Stop a run, one trial of it, or a server: SIGTERM, 30 s to save or to answer, SIGKILL",
		Args:  cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			var only *int
			if len(args) > 0 {
				name, n, err := parseTrial(args[0])
				if err != nil {
					return err
				}
				args[0], only = name, n
			}
			if cmd.Flags().Changed("trial") {
				only = &trial
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			name := listed.Spec.Name
			if only != nil {
				if err := listed.CheckTrial(*only); err != nil {
					return err
				}
			}
			if !listed.Active() {
				fmt.Fprintf(a.err, "%s is not running: %s\n", name, report.StateWord(&listed))
				return nil
			}
			if err := client.Stop(ignoreInterrupt(cmd.Context()), name, only, now); err != nil {
				return err
			}
			if listed.Spec.Kind == run.Serve {
				return a.stopped(cmd.Context(), client, name)
			}
			if only != nil {
				fmt.Fprintf(a.err, "asked trial %d of %s to stop\n", *only, name)
				return nil
			}
			fmt.Fprintf(a.err, "asked %s to stop; metaml attach %s shows it\n", name, name)
			return nil
		},
	}
	c.Flags().IntVar(&trial, "trial", 0, "stop this trial only")
	c.Flags().BoolVar(&now, "now", false, "kill at once")
	return c
}

// stopped waits until a server has answered what it had and is gone: whoever stops one wants its port.
func (a *app) stopped(ctx context.Context, client *deployer.Client, name string) error {
	err := client.Runs.Follow(ctx, name, "", func(run.Event, string) error { return nil })
	if err == nil {
		fmt.Fprintf(a.err, "%s is stopped\n", name)
	}
	return err
}
