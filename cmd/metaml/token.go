package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func tokenCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "token SERVER", Short: "Print the token that requests to a server with --auth token must have",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("token needs a server: metaml token SERVER")
			}
			ctx, release := interruptible(cmd.Context())
			defer release()
			client, listed, err := a.load(ctx, args)
			if err != nil {
				return err
			}
			token, err := client.Token(ctx, listed.Spec.Name)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, token)
			return nil
		},
	}
}
