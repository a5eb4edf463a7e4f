package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/cmd/internal/doctor"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

func doctorCommand(a *app) *cobra.Command {
	var (
		asJSON bool
		python string
	)
	c := &cobra.Command{
		Use: "doctor", Short: "Check that everything a run needs is here, and say what is missing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given, err := typedSettings(cmd.Flags())
			if err != nil {
				return err
			}
			checks := doctor.Examine(cmd.Context(), a.launcher(), python, given)
			if !asJSON {
				doctor.Print(a.out, checks)
			} else if err := view.PrintJSON(a.out, checks); err != nil {
				return err
			}
			if slices.ContainsFunc(checks, func(c run.Check) bool { return !c.OK }) {
				return errSaid
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&python, "python", "", "the Python to look at; without it the active environment's")
	settingFlags(c.Flags(), "target", "context", "namespace", "image", "repository", "builder")
	return c
}
