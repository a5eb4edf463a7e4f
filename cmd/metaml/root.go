package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/internal/prose"
)

const rootHelp = `MetaML runs what is in a notebook cell: a sweep of a training function on this machine.

In a notebook put %%train over the cell that defines the function. On the command line:

  metaml run NOTEBOOK.ipynb     run its %%train cell
  metaml runs                   what ran and what runs
  metaml attach RUN             watch a run; RUN is a name, the beginning of one, or "last"

Exit codes: 0 done; 1 the run failed; 2 something cannot be used as it is, and nothing was started; 130 interrupted.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use: "metaml", Short: "Run what is in a notebook cell", Long: rootHelp, Version: metaml.Version(),
		SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			var verbs []string
			for _, c := range cmd.Commands() {
				verbs = append(verbs, c.Name())
			}
			refused := usage("there is no command %q", args[0])
			if n := prose.Nearest(args[0], verbs); n != "" {
				refused.Hint = fmt.Sprintf("Did you mean %q?", n)
			}
			return refused
		},
	}
	root.SetVersionTemplate("metaml {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		runCommand(a), planCommand(a), buildCommand(a), exportCommand(a), runsCommand(a), showCommand(a),
		logsCommand(a), pullCommand(a),
		attachCommand(a), stopCommand(a), scaleCommand(a), rollbackCommand(a), tokenCommand(a),
		resumeCommand(a), deleteCommand(a), tensorboardCommand(a), settingsCommand(a), installCommand(a),
		uninstallCommand(a),
		doctorCommand(a), loginCommand(a), logoutCommand(a), versionCommand(a), setupCommand(a), followCommand(),
	)
	return root
}

// flagError rewords pflag's complaint and names the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || unknown.GetSpecifiedShortnames() != "" {
		return usage("%s: %s", cmd.Name(), err)
	}
	name := unknown.GetSpecifiedName()
	refused := usage("%s has no option --%s", cmd.Name(), name)
	if n := prose.Nearest(name, flagNames(cmd)); n != "" {
		refused.Hint = fmt.Sprintf("Did you mean --%s?", n)
	}
	return refused
}
