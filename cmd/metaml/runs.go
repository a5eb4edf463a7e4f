package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/report"
)

func runsCommand(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "runs", Short: "List what ran and what runs, newest first", Args: cobra.NoArgs,
		Long: "List what ran and what runs, newest first: the runs that are known on this machine.\n\nWith --target " +
			"kubernetes the cluster is asked before, so that runs are there, too, which were submitted from another " +
			"machine: in the current\ncontext and its namespace, or where settings say. If it cannot be asked, those " +
			"that are known are listed, and the exit code is 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			means, unasked, err := a.discover(cmd, client)
			if err != nil {
				return err
			}
			listed, err := client.Runs.List(cmd.Context())
			if err != nil {
				return err
			}
			listed = means.only(listed)
			servers := make([]*run.Listed, len(listed))
			for i := range listed {
				servers[i] = &listed[i]
			}
			client.Runs.Ask(cmd.Context(), servers...)
			if asJSON {
				err = view.PrintJSON(a.out, report.Entries(client, listed))
			} else {
				err = report.Runs(a.out, listed, means.String(), time.Now())
			}
			if err == nil && unasked != nil {
				fmt.Fprintln(a.err, "metaml: only runs that are known here are listed: "+launch.Message(unasked))
				err = errSaid
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	whereFlags(c)
	return c
}
