package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/settings"
)

func deleteCommand(a *app) *cobra.Command {
	var (
		older    string
		yes, dry bool
	)
	c := &cobra.Command{
		Use: "delete [RUN …]", Short: "Remove runs that have ended, with their outputs and logs",
		ValidArgsFunction: a.completeRuns,
		Long: "Remove runs that have ended, with their outputs and logs.\n\nRuns that are named are removed at once. " +
			"--older asks first; where nobody can be asked, it needs --yes.\nWith --target kubernetes it means runs " +
			"in clusters alone, with --context or --namespace those in one namespace; the\n" +
			"cluster is asked for them before.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && older == "" {
				return usage("delete needs the names of runs, or --older 30d")
			}
			if len(args) > 0 && older != "" { // are the names what goes too, or what stays?
				return usage("delete takes the names of runs or --older, not both")
			}
			_, given, err := typedWhere(cmd)
			if err != nil {
				return err
			}
			if len(given) > 0 && older == "" {
				return usage("--%s is for --older: the name of a run says where it is", given[0].Def.Flag())
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			names, err := named(cmd.Context(), client, args)
			if err != nil {
				return err
			}
			if older != "" {
				old, err := a.olderThan(cmd, client, older)
				if err != nil {
					return err
				}
				if len(old) > 0 && !dry && !yes {
					if err := a.confirm(cmd.Context(), older, old); err != nil {
						return err
					}
				}
				names = append(names, old...)
			}
			for _, name := range names {
				if dry {
					fmt.Fprintf(a.err, "would delete %s\n", name)
					continue
				}
				if err := client.Delete(ignoreInterrupt(cmd.Context()), name); err != nil {
					return err
				}
				fmt.Fprintf(a.err, "deleted %s\n", name)
			}
			return nil
		},
	}
	c.Flags().StringVar(&older, "older", "", "every run that ended longer ago than this: 12h, 30d")
	whereFlags(c)
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be removed, and remove nothing")
	return c
}

// named finds the runs that were named, all of them before any is removed.
func named(ctx context.Context, client *deployer.Client, args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		listed, err := client.Runs.Load(ctx, arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, listed.Spec.Name) {
			names = append(names, listed.Spec.Name)
		}
	}
	return names, nil
}

// olderThan finds the runs that ended longer ago than age, of those that are meant.
func (a *app) olderThan(cmd *cobra.Command, client *deployer.Client, age string) ([]string, error) {
	if strings.Trim(age, "0123456789.") == "" {
		return nil, usage("--older takes a time with its unit, such as 12h or 30d, not %q", age)
	}
	least, err := settings.ParseDuration(age)
	if err != nil {
		return nil, usage("--older %s", err)
	}
	means, unasked, err := a.discover(cmd, client)
	if err != nil {
		return nil, err
	}
	if unasked != nil { // nothing could be deleted there
		return nil, unasked
	}
	old, err := client.Runs.EndedBefore(cmd.Context(), time.Now().Add(-least))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range means.only(old) {
		names = append(names, l.Spec.Name)
	}
	return names, nil
}
