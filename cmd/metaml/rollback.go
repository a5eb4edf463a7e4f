package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/launch"
)

func rollbackCommand(a *app) *cobra.Command {
	var detach bool
	c := &cobra.Command{
		Use:   "rollback SERVER [REVISION]",
		Short: "Have a server answer with an older revision again; without one with the revision before this one",
		Args:  cobra.MaximumNArgs(2), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			revision := 0
			switch len(args) {
			case 0:
				return usage("rollback needs a server: metaml rollback SERVER [REVISION]")
			case 2:
				n, err := strconv.Atoi(args[1])
				if err != nil || n < 1 {
					return usage("%q is no number of a revision: metaml rollback SERVER [REVISION]", args[1])
				}
				revision = n
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			caught := catchInterrupts()
			submitted, err := client.Rollback(ignoreInterrupt(cmd.Context()), listed.Spec.Name, revision)
			if err != nil {
				return err
			}
			if detach {
				fmt.Fprintln(a.out, submitted.Spec.Name)
				for _, note := range launch.AuthNotes(submitted) {
					fmt.Fprintln(a.err, note)
				}
				return nil
			}
			remarks := append([]string{launch.InPlaceOf(submitted)}, launch.AuthNotes(submitted)...)
			return a.show(cmd.Context(), client, submitted.Spec, remarks, caught,
				launch.InterruptAgain(submitted.Spec))
		},
	}
	c.Flags().BoolVar(&detach, "detach", false, "return at once")
	return c
}
