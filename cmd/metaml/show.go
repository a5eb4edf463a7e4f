package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/report"
)

// uncollected is the size in bytes from which on a command that only looks collects garbage.
const uncollected = 128 << 20

func showCommand(a *app) *cobra.Command {
	var asJSON, history, all bool
	c := &cobra.Command{
		Use: "show [RUN]", Short: "Show a run: its table, settings, notes and failures", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			// It ends before most of what it allocates is garbage: collecting it is a sixth of a look at a long run.
			debug.SetGCPercent(-1)
			debug.SetMemoryLimit(uncollected)
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			out := report.Output{To: a.out, Environ: a.environ}
			if listed.Spec.Kind == run.Serve {
				client.Runs.Ask(cmd.Context(), &listed)
				if asJSON {
					return view.PrintJSON(a.out, report.ServerDetailOf(client, &listed))
				}
				return out.Server(client, &listed)
			}
			table, err := client.Runs.Table(cmd.Context(), listed.Spec.Name)
			if err != nil {
				return err
			}
			if asJSON {
				j, err := report.DetailOf(cmd.Context(), client, &listed, table, history)
				if err != nil {
					return err
				}
				return view.PrintJSON(a.out, j)
			}
			return out.Run(client, &listed, table, all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&all, "all", false, "show every trial, where there are more than the table shows")
	c.Flags().BoolVar(&history, "history", false, "with --json: every report of every trial")
	return c
}
