package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
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
			"--older asks first; where nobody can be asked, it needs --yes.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && older == "" {
				return usage("delete needs the names of runs, or --older 30d")
			}
			if len(args) > 0 && older != "" { // are the names what goes too, or what stays?
				return usage("delete takes the names of runs or --older, not both")
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
				old, err := olderThan(cmd.Context(), client, older)
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

// olderThan finds the runs that ended longer ago than age.
func olderThan(ctx context.Context, client *deployer.Client, age string) ([]string, error) {
	if strings.Trim(age, "0123456789.") == "" {
		return nil, usage("--older takes a time with its unit, such as 12h or 30d, not %q", age)
	}
	least, err := settings.ParseDuration(age)
	if err != nil {
		return nil, usage("--older %s", err)
	}
	listed, err := client.Runs.List(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range listed {
		l := &listed[i]
		if l.Liveness == run.Damaged || l.Active() {
			continue
		}
		ended := l.State.Ended
		if ended.IsZero() || l.Liveness == run.Restarted { // nobody was there to write when
			ended = l.Spec.Created
		}
		if time.Since(ended) > least {
			names = append(names, l.Spec.Name)
		}
	}
	return names, nil
}

// maxAsked bounds the runs that a question names.
const maxAsked = 10

// confirm asks on the terminal whether runs are to be removed, and refuses where nobody can be asked.
func (a *app) confirm(ctx context.Context, older string, names []string) error {
	what := fmt.Sprintf("%s that ended more than %s ago: %s", prose.Count(len(names), "run"), older,
		strings.Join(names[:min(len(names), maxAsked)], ", "))
	if more := len(names) - maxAsked; more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	in, ok := a.in.(*os.File)
	var ask *os.File
	if ok && term.IsTerminal(int(in.Fd())) {
		ask, _ = os.OpenFile("/dev/tty", os.O_WRONLY, 0) // whatever the streams are redirected to
	}
	if ask == nil {
		return &usererror.Error{
			Code: usererror.CodeConfirm, Text: "--older would delete " + what,
			Hint: "--yes deletes them, with their outputs; --dry-run only lists them.",
		}
	}
	defer ask.Close()
	fmt.Fprintf(ask, "delete %s, with outputs and logs? [y/N] ", what)
	said := make(chan string, 1)
	go func() { // ends with its line, or with the process
		line, _ := bufio.NewReader(in).ReadString('\n')
		said <- line
	}()
	select {
	case line := <-said:
		if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
			return nil
		}
		fmt.Fprintln(a.err, "nothing was deleted")
		return launch.ErrInterrupted
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
