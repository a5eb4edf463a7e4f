package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func attachCommand(a *app) *cobra.Command {
	var o attachOptions
	c := &cobra.Command{
		Use: "attach [RUN]", Short: "Watch a run until it ends; Ctrl-C leaves it running", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.show(cmd.Context(), client, looked(client, &listed), nil, o.interrupt)
		},
	}
	o.flags(c.Flags())
	return c
}

// attachOptions are what `metaml attach` and `%metaml attach` take beside the name.
type attachOptions struct{ interrupt string }

func (o *attachOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.interrupt, "interrupt", "detach", "what ■ and Ctrl-C do to the run: stop it, or detach from it")
}

func (o *attachOptions) check() error {
	if o.interrupt != "stop" && o.interrupt != "detach" {
		return &usererror.Error{
			Code: usererror.CodeOption, Text: fmt.Sprintf("--interrupt takes stop or detach, not %q", o.interrupt),
		}
	}
	return nil
}

// attachLine reads what stands behind `%metaml attach`; without a name it is the last run.
func attachLine(line string) (string, attachOptions, error) {
	var o attachOptions
	f := pflag.NewFlagSet("attach", pflag.ContinueOnError)
	f.Usage = func() {}
	o.flags(f)
	if err := f.Parse(strings.Fields(line)); err != nil {
		return "", o, &usererror.Error{
			Code: usererror.CodeOption, Text: err.Error(), Hint: "%metaml attach [RUN] [--interrupt stop|detach]",
		}
	}
	name := strings.Join(f.Args(), " ")
	if name == "" {
		name = "last"
	}
	return name, o, o.check()
}

// load opens the target and finds the run that args name; without a name it is the last.
func (a *app) load(ctx context.Context, args []string) (*deployer.Client, run.Listed, error) {
	client, err := a.client()
	if err != nil {
		return nil, run.Listed{}, err
	}
	name := "last"
	if len(args) > 0 {
		name = args[0]
	}
	listed, err := client.Runs.Load(ctx, name)
	if err != nil {
		return nil, run.Listed{}, err
	}
	if listed.Liveness == run.Damaged {
		return nil, run.Listed{}, &usererror.Error{
			Code: usererror.CodeDamaged, Text: fmt.Sprintf("the record of %s cannot be read: %s", listed.Spec.Name,
				listed.Damage), Hint: "metaml delete " + listed.Spec.Name + " removes it.",
		}
	}
	return client, listed, nil
}

// show watches a run on the standard error stream and answers with the exit code's error.
func (a *app) show(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string,
) error {
	if spec.Kind == run.Serve {
		return a.serve(ctx, client, spec, remarks, interrupt)
	}
	asks, stop := interrupts(ctx)
	defer stop()
	w, err := watch(ctx, client, spec, remarks, interrupt, newScreen(a, a.err), asks)
	if err != nil {
		return err
	}
	if e := outcome(w, spec); e != nil {
		return a.ended(e, spec)
	}
	return nil
}

// ended tells how a run or a server ended that did not end well.
func (a *app) ended(e *ending, spec run.Spec) error {
	switch e.name {
	case "Detached":
		fmt.Fprintf(a.err, "%s goes on; metaml attach %s shows it again, metaml stop %s stops it\n", spec.Name,
			spec.Name, spec.Name)
		return nil
	case "KeyboardInterrupt":
		return errInterrupted
	default:
		fmt.Fprintln(a.err, "metaml: "+e.text)
		if body := strings.Join(e.traceback, "\n"); body != "" {
			fmt.Fprintln(a.err, body)
		}
		return errRunFailed
	}
}

// completeRuns completes the names of runs for a shell.
func (a *app) completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	t, err := a.target()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	listed, err := t.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range listed {
		name := listed[i].Spec.Name
		if state := listed[i].State; state != nil {
			name += "\t" + string(state.Phase)
		}
		names = append(names, name)
	}
	return append(names, "last\tthe newest run"), cobra.ShellCompDirectiveNoFileComp
}
