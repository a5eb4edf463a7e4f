package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
)

// load opens the target and finds the run that args name; without a name it is the last.
func (a *app) load(ctx context.Context, args []string) (*deployer.Client, run.Listed, error) {
	client, err := a.client()
	if err != nil {
		return nil, run.Listed{}, err
	}
	name := "last"
	if len(args) > 0 {
		name = args[0]
	}
	listed, err := client.Runs.Load(ctx, name)
	return client, listed, err
}

// completeRuns completes the names of runs for a shell.
func (a *app) completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	listed, err := client.Runs.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range listed {
		name := listed[i].Spec.Name
		if state := listed[i].State; state != nil {
			name += "\t" + string(state.Phase)
		}
		names = append(names, name)
	}
	return append(names, "last\tthe newest run"), cobra.ShellCompDirectiveNoFileComp
}
