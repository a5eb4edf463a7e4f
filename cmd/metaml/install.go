package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/cmd/internal/jupyter"
)

// kernelPlace is where a kernel is to be, by its flags.
type kernelPlace struct {
	user, sysPrefix      bool
	prefix, name, python string
}

func (p *kernelPlace) flags(c *cobra.Command) {
	c.Flags().BoolVar(&p.user, "user", false, "for this user (the default)")
	c.Flags().BoolVar(&p.sysPrefix, "sys-prefix", false, "into the environment of --python, or of the active one")
	c.Flags().StringVar(&p.prefix, "prefix", "", "into DIR/share/jupyter")
	c.Flags().StringVar(&p.name, "name", "metaml", "the kernel's name, which its folder has")
	c.MarkFlagsMutuallyExclusive("user", "sys-prefix", "prefix")
}

func (a *app) place(p kernelPlace) (jupyter.Place, error) {
	place := jupyter.Place{Prefix: p.prefix, Name: p.name, Getenv: a.getenv}
	var err error
	if p.sysPrefix {
		place.Python, err = a.launcher().FindPython(p.python)
	}
	return place, err
}

func installCommand(a *app) *cobra.Command {
	var (
		p       kernelPlace
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
			python, err := a.launcher().FindPython(p.python)
			if err != nil {
				return err
			}
			place, err := a.place(p)
			if err != nil {
				return err
			}
			dir, err := jupyter.Install(place, kernel, python, display)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.err, "installed the kernel %q for %s in %s\n", display, python, dir)
			return nil
		},
	}
	p.flags(c)
	c.Flags().StringVar(&p.python, "python", "",
		"the Python whose ipykernel it wraps; without it the active environment's")
	c.Flags().StringVar(&display, "display-name", "Python (MetaML)", "the name that people see")
	return c
}
