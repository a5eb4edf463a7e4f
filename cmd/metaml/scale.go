package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/prose"
)

func scaleCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "scale SERVER N", Short: "Give a server N replicas, more or fewer, without a failed request",
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("scale needs a server and a number of replicas: metaml scale SERVER N")
			}
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return usage("%q is no number of replicas: metaml scale SERVER N", args[1])
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
				prose.Count(n, "replica"), name)
			return nil
		},
	}
}
