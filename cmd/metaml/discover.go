package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// whereFlags are the settings by which a command line means the runs in one place alone.
func whereFlags(c *cobra.Command) {
	for name, help := range map[string]string{
		"target":    "those on one target alone: %s; with kubernetes the cluster is asked for them",
		"context":   "with --target kubernetes, those of one context of the kubeconfig alone",
		"namespace": "with --target kubernetes, those in one namespace alone",
	} {
		d, _ := settings.Lookup(name)
		if len(d.Choices) > 0 {
			help = fmt.Sprintf(help, strings.Join(d.Choices, " or "))
		}
		c.Flags().Var(&settingFlag{def: d}, d.Flag(), help)
	}
}

// where says which runs a command line means; the zero value: all.
type where struct {
	target string
	place  string // of the target; "" is every place
}

// String is what people call it.
func (w where) String() string {
	if w.place != "" {
		return w.place
	}
	return w.target
}

// only leaves of runs those that are meant.
func (w where) only(listed []run.Listed) []run.Listed {
	return slices.DeleteFunc(listed, func(l run.Listed) bool {
		return w.target != "" && l.Target != w.target || w.place != "" && run.ParseName(l.Spec.Name).Place != w.place
	})
}

// typedWhere reads whereFlags, without asking anybody.
func typedWhere(cmd *cobra.Command) (w where, given []settings.Given, err error) {
	if given, err = typedSettings(cmd.Flags()); err != nil {
		return w, nil, err
	}
	for _, g := range given {
		if g.Def.Name == "target" {
			w.target = g.Value
		}
	}
	if len(given) > 0 && w.target != run.Kubernetes && (len(given) > 1 || w.target == "") {
		return w, nil, usage("--context and --namespace are for --target %s", run.Kubernetes)
	}
	return w, given, nil
}

// discover reads whereFlags and, where they name a cluster, brings its runs here. Which runs are meant is known also
// where the cluster cannot be asked, which unasked says.
func (a *app) discover(cmd *cobra.Command, client *deployer.Client) (w where, unasked, err error) {
	w, given, err := typedWhere(cmd)
	if err != nil || w.target != run.Kubernetes {
		return w, nil, err
	}
	resolved, err := settings.Resolve(run.Train, settings.Sources{
		Line: given, Typed: settings.FromCommand, Environ: a.environ, File: settings.FindFile(a.cwd), Dir: a.cwd,
	})
	if err != nil {
		return w, nil, err
	}
	place, unasked := client.Discover(cmd.Context(), resolved)
	if len(given) > 1 { // more than the target
		w.place = place
	}
	return w, unasked, nil
}
