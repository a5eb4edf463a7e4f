package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/view"
)

func versionCommand(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if asJSON {
				return view.PrintJSON(a.out, map[string]string{
					"version": metaml.Version(), "go": runtime.Version(),
					"platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			_, err := fmt.Fprintf(a.out, "metaml %s (%s, %s/%s)\n", metaml.Version(), runtime.Version(), runtime.GOOS,
				runtime.GOARCH)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
