package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/jupyter-ext/labextension"
	"github.com/metaml/metaml/kernel/kernelspec"
)

func installCommand(a *app) *cobra.Command {
	var (
		w       where
		display string
	)
	c := &cobra.Command{
		Use:   "install",
		Short: "Make the kernel and its extension known to Jupyter (a kernelspec), for the Python named by --python",
		Args:  cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			kernel, err := beside.Find("metaml-kernel")
			if err != nil {
				return err
			}
			python, err := a.launcher().FindPython(w.python)
			if err != nil {
				return err
			}
			dir, err := a.kernelFolder(w)
			if err != nil {
				return err
			}
			spec := kernelspec.JSON([]string{kernel, "-f", "{connection_file}", "--python", python}, display)
			if err := writeFile(filepath.Join(dir, kernelspecFile), spec); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "installed the kernel %q for %s in %s\n", display, python, dir)
			for name, content := range labextension.Files(metaml.Version()) {
				if err := writeFile(filepath.Join(extensionFolder(dir), filepath.FromSlash(name)),
					content); err != nil {
					return err
				}
			}
			return nil
		},
	}
	w.flags(c)
	c.Flags().StringVar(&w.python, "python", "",
		"the Python whose ipykernel it wraps; without it the active environment's")
	c.Flags().StringVar(&display, "display-name", "Python (MetaML)", "the name that people see")
	return c
}
