package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/settings"
)

func scaleCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "scale SERVER N", Short: "Give a server N replicas, more or fewer, without a failed request",
		Long: "Give a server N replicas, more or fewer, without a failed request:\n\n" +
			"  metaml scale serve-1 3\n\n" +
			"In a cluster, MIN..MAX has an autoscaler choose the number, by how much of their --cpu the replicas use:" +
			"\n\n  metaml scale serve-1 2..10\n\n" +
			"A number ends that again. Neither makes another revision.",
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("scale needs a server and a number of replicas: metaml scale SERVER N")
			}
			n, err := settings.ParseReplicas(args[1])
			if err != nil {
				return usage("a number of replicas %s", err)
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			name := listed.Spec.Name
			if err := client.Scale(ignoreInterrupt(cmd.Context()), name, n); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "%s is scaled to %s; metaml show %s shows its workers\n", name,
				n.Words(), name)
			return nil
		},
	}
}
