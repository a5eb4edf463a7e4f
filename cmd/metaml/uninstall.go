package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/usererror"
)

func uninstallCommand(a *app) *cobra.Command {
	var w where
	c := &cobra.Command{
		Use: "uninstall", Short: "Remove what install made", Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			dir, err := a.kernelFolder(w)
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(dir, kernelspecFile)); err != nil {
				return &usererror.Error{Code: usererror.CodeNotFound, Text: "there is no kernelspec in " + dir}
			}
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove the kernelspec: %w", err)
			}
			fmt.Fprintf(a.err, "removed %s\n", dir)
			removed, err := removeExtension(dir)
			if removed {
				fmt.Fprintf(a.err, "removed %s\n", extensionFolder(dir))
			}
			return err
		},
	}
	w.flags(c)
	c.Flags().StringVar(&w.python, "python", "", "the Python whose environment is meant, with --sys-prefix")
	return c
}
