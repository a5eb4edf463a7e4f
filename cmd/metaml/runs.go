package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/report"
)

func runsCommand(a *app) *cobra.Command {
	var asJSON bool
	only, _ := settings.Lookup("target")
	target := settingFlag{def: only}
	c := &cobra.Command{
		Use: "runs", Short: "List what ran and what runs, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := typedSettings(cmd.Flags()); err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			listed, err := client.Runs.List(cmd.Context())
			if err != nil {
				return err
			}
			if target.value != "" {
				listed = slices.DeleteFunc(listed, func(l run.Listed) bool { return l.Target != target.value })
			}
			servers := make([]*run.Listed, len(listed))
			for i := range listed {
				servers[i] = &listed[i]
			}
			client.Runs.Ask(cmd.Context(), servers...)
			if asJSON {
				return view.PrintJSON(a.out, report.Entries(client, listed))
			}
			return report.Runs(a.out, listed, target.value, time.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().Var(&target, only.Flag(), "those on one target alone: "+strings.Join(only.Choices, " or "))
	return c
}
