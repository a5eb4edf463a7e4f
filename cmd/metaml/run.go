package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// runOptions are the flags of `metaml run` and `metaml plan` beside the settings.
type runOptions struct {
	session string // "-": speak the conversation on the standard streams
	render  bool   // send display bundles
	cell    int    // execution order number of the %%train cell, in a notebook
	python  string
	table   string // hyperparameters of a program folder
	kind    string // train or serve; "": as the file says
	json    bool
}

func runCommand(a *app) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use: "run NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Run the %%train or %%serve cell of a notebook, the @Train or @Serve function of a script, or a " +
			"program folder",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.session != "" {
				return a.conversation(cmd.Context(), o.render, false)
			}
			file, err := oneFile(cmd, args)
			if err != nil {
				return err
			}
			return a.runFile(cmd.Context(), file, o, cmd.Flags())
		},
	}
	fileFlags(c, &o)
	return c
}

func planCommand(a *app) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "plan NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Show what would run: the slice, the table, the settings, the threads; start no trial",
		Long: "Show what would run: the slice, the table, the settings, the threads. No trial and no server is " +
			"started. Where the cell names hyperparameters\n" +
			"they are drawn, which executes the code that makes them; nothing else of the file is executed.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.session != "" {
				return a.conversation(cmd.Context(), o.render, true)
			}
			file, err := oneFile(cmd, args)
			if err != nil {
				return err
			}
			return a.planFile(cmd.Context(), file, o, cmd.Flags())
		},
	}
	fileFlags(c, &o)
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func fileFlags(c *cobra.Command, o *runOptions) {
	c.Flags().IntVar(&o.cell, "cell", 0,
		"number of the %%train or %%serve cell, [N] or its place among the code cells where they have none; without "+
			"it the last %%train cell, else the last %%serve cell")
	c.Flags().StringVar(&o.python, "python", "",
		"the Python that runs it; without it the one of the active environment")
	c.Flags().StringVar(&o.table, "table", "", "hyperparameters, a JSON object a line, for a program folder")
	c.Flags().StringVar(&o.kind, "kind", "",
		"train or serve; without it what the cell, the decorator or the program folder says, else train")
	settingFlags(c.Flags())
	c.Flags().StringVar(&o.session, "session", "",
		"read a session document from here (-), as the kernel and the module do")
	c.Flags().BoolVar(&o.render, "render", false, "answer with display bundles")
	for _, name := range []string{"session", "render"} {
		_ = c.Flags().MarkHidden(name) // it exists: just defined
	}
}

// settingFlags adds a flag for every setting; their values are checked by the settings package alone.
func settingFlags(flags *pflag.FlagSet) {
	for _, d := range settings.All {
		f := flags.VarPF(&settingFlag{def: d}, d.Flag(), "", d.Help)
		f.DefValue = d.Default
		if d.Type == settings.Bool {
			f.NoOptDefVal = "true"
		}
	}
}

// settingFlag holds a setting's text as it was typed.
type settingFlag struct {
	def   settings.Def
	value string
}

func (f *settingFlag) String() string { return f.value }
func (f *settingFlag) Type() string   { return f.def.Value }

func (f *settingFlag) Set(text string) error {
	if f.value != "" && f.def.Type.List() {
		text = f.value + "," + text
	}
	f.value = text
	return nil
}

// typedSettings gives the settings among the flags that were typed.
func typedSettings(flags *pflag.FlagSet) ([]settings.Given, error) {
	var (
		given []settings.Given
		first error
	)
	flags.Visit(func(f *pflag.Flag) {
		s, ok := f.Value.(*settingFlag)
		if !ok || first != nil {
			return
		}
		g, err := settings.Give(s.def, s.value)
		if err != nil {
			first = err
			return
		}
		given = append(given, g)
	})
	return given, first
}

func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

func oneFile(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 {
		return "", usageError{
			fmt.Errorf("%s needs a notebook, a script or a program folder: metaml %s", cmd.Name(), cmd.Use),
		}
	}
	return args[0], nil
}

// runFile plans, submits and shows what is in a file.
func (a *app) runFile(ctx context.Context, file string, o runOptions, flags *pflag.FlagSet) error {
	s, plan, end, err := a.planned(ctx, file, o, flags)
	if err != nil {
		return err
	}
	defer end()
	fmt.Fprintln(a.err, s.summary())
	submitted, err := s.client.Submit(ctx, plan)
	if err != nil {
		return err
	}
	end() // nothing of it is needed while the run is watched
	if s.settings.Bool("detach") {
		fmt.Fprintln(a.out, submitted.Spec.Name)
		return nil
	}
	return a.show(ctx, s.client, submitted.Spec, planNotes(plan, submitted), interruptMeans(s.settings))
}

// planned prepares and plans what is in a file. The returned function removes what that needed; it may be called twice.
// Until then an interrupt ends the planning, or does nothing.
func (a *app) planned(
	ctx context.Context, file string, o runOptions, flags *pflag.FlagSet,
) (*submission, *deployer.Plan, func(), error) {
	all := ctx
	ctx, uncaught := signal.NotifyContext(ctx, os.Interrupt)
	interrupted := func(err error) error {
		if ctx.Err() != nil && all.Err() == nil {
			return errInterrupted
		}
		return err
	}
	s, closePython, err := a.prepare(ctx, file, o, flags)
	if err != nil {
		err = interrupted(err)
		uncaught()
		return nil, nil, nil, err
	}
	end := func() { closePython(); s.clean(); uncaught() }
	plan, err := s.plan(ctx)
	if err = interrupted(err); err != nil {
		end()
		return nil, nil, nil, err
	}
	return s, plan, end, nil
}

// settingsFor resolves the settings of a file: its own cell's line below the command line's.
func (a *app) settingsFor(
	kind run.Kind, file, line string, decorated map[string]string, flags *pflag.FlagSet,
) (*settings.Resolved, error) {
	given, err := settings.ParseLine(kind, line)
	if err != nil && !errors.Is(err, settings.ErrHelp) {
		return nil, err
	}
	typed, err := typedSettings(flags)
	if err != nil {
		return nil, err
	}
	resolved, err := settings.Resolve(kind, settings.Sources{
		Line: typed, Typed: settings.FromCommand, Cell: given, Decorator: decorated, Environ: a.environ,
		File: settings.FindFile(filepath.Dir(file)),
	})
	if err != nil {
		return nil, err
	}
	return resolved, deployer.Supported(resolved)
}

// interrupts delivers each Ctrl-C; the second and all later ones mean "now".
func interrupts(ctx context.Context) (<-chan ask, func()) {
	signals := make(chan os.Signal, 4) // a few impatient presses
	signal.Notify(signals, os.Interrupt)
	asks := make(chan ask)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with the returned function
		what := askInterrupt
		for {
			select {
			case <-signals:
				select {
				case asks <- what:
					what = askNow
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return asks, func() { signal.Stop(signals); cancel(nil) }
}

// parseTrial reads RUN or RUN:TRIAL.
func parseTrial(name string) (runName string, trial *int, err error) {
	runName, text, found := strings.Cut(name, ":")
	if !found {
		return name, nil, nil
	}
	var n int
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil || n < 0 {
		return "", nil, usageError{fmt.Errorf("%q is not RUN or RUN:TRIAL", name)}
	}
	return runName, &n, nil
}
