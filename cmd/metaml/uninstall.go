package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/cmd/internal/jupyter"
)

func uninstallCommand(a *app) *cobra.Command {
	var p kernelPlace
	c := &cobra.Command{
		Use: "uninstall", Short: "Remove what install made", Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			place, err := a.place(p)
			if err != nil {
				return err
			}
			removed, err := jupyter.Uninstall(place)
			for _, dir := range removed {
				fmt.Fprintf(a.err, "removed %s\n", dir)
			}
			return err
		},
	}
	p.flags(c)
	c.Flags().StringVar(&p.python, "python", "", "the Python whose environment is meant, with --sys-prefix")
	return c
}
