package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/launch"
)

// fileOptions are the flags of `metaml run`, `metaml plan` and `metaml export` beside the settings.
type fileOptions struct {
	session string // "-": speak the conversation on the standard streams
	render  bool   // send display bundles
	cell    int    // execution order number of the %%train cell, in a notebook
	python  string
	table   string // hyperparameters of a program folder
	kind    string // train or serve; "": as the file says
	json    bool
}

// fileFlags are the flags of what runs a file.
func fileFlags(c *cobra.Command, o *fileOptions) {
	c.Flags().IntVar(&o.cell, "cell", 0,
		"number of the %%train or %%serve cell, [N] or its place among the code cells where they have none; without "+
			"it the last %%train cell, else the last %%serve cell")
	c.Flags().StringVar(&o.python, "python", "",
		"the Python that runs it; without it the one of the active environment")
	c.Flags().StringVar(&o.table, "table", "", "hyperparameters, a JSON object a line, for a program folder")
	c.Flags().StringVar(&o.kind, "kind", "",
		"train or serve; without it what the cell, the decorator or the program folder says, else train")
	settingFlags(c.Flags())
}

// conversationFlags are the flags of what the kernel and the module start.
func conversationFlags(c *cobra.Command, o *fileOptions) {
	c.Flags().StringVar(&o.session, "session", "",
		"read a session document from here (-), as the kernel and the module do")
	c.Flags().BoolVar(&o.render, "render", false, "answer with display bundles")
	for _, name := range []string{"session", "render"} {
		_ = c.Flags().MarkHidden(name) // it exists: just defined
	}
}

// settingFlags adds a flag for every setting, or for those that are named; their values are checked by the settings
// package alone.
func settingFlags(flags *pflag.FlagSet, names ...string) {
	for _, d := range settings.All {
		if len(names) > 0 && !slices.Contains(names, d.Name) {
			continue
		}
		// pflag would take a word between backquotes for the name of the value.
		of := &settingFlag{def: d}
		f := flags.VarPF(of, d.Flag(), "", strings.ReplaceAll(d.Help, "`", ""))
		f.DefValue = d.Default
		if d.Type == settings.Bool {
			f.NoOptDefVal = "true"
			no := flags.VarPF(&negatedFlag{of}, "no-"+d.Flag(), "", "")
			no.NoOptDefVal, no.Hidden = "true", true
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
	f.value = f.def.Add(f.value, text)
	return nil
}

// negatedFlag is --no-NAME of a boolean setting, as in a cell.
type negatedFlag struct{ *settingFlag }

// Set implements [pflag.Value].
func (f *negatedFlag) Set(text string) error {
	yes, err := strconv.ParseBool(text)
	if err != nil {
		return usage("--no-%s takes no value", f.def.Flag())
	}
	f.value = strconv.FormatBool(!yes)
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
		if negated, is := f.Value.(*negatedFlag); is && !flags.Changed(negated.def.Flag()) {
			s, ok = negated.settingFlag, true
		}
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
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// source is the file that a command line names, with its options.
func (o *fileOptions) source(cmd *cobra.Command, args []string) (launch.Source, error) {
	if len(args) == 0 {
		return launch.Source{},
			usage("%s needs a notebook, a script or a program folder: metaml %s", cmd.Name(), cmd.Use)
	}
	given, err := typedSettings(cmd.Flags())
	return launch.Source{
		File: args[0], Kind: run.Kind(o.kind), Cell: o.cell, Python: o.python, Table: o.table, Given: given,
	}, err
}

// parseTrial reads RUN or RUN:TRIAL.
func parseTrial(name string) (runName string, trial *int, err error) {
	runName, text, found := run.CutTrial(name)
	if !found {
		return name, nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return "", nil, usage("%q is not RUN or RUN:TRIAL", name)
	}
	return runName, &n, nil
}
