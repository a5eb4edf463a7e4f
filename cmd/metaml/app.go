package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// app is what the verbs share: streams and the lazily opened target. What is written to out and err is for people and
// goes through [view.Visible]; [view.Raw] is for what is ours to the last byte, or is read by a program.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	cwd      string
}

func newApp() *app {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "/"
	}
	return &app{
		in: os.Stdin, out: view.Stream{To: os.Stdout}, err: view.Stream{To: os.Stderr}, environ: os.Environ(), cwd: cwd,
	}
}

// The exit codes, as `metaml help exit-codes` lists them.
const (
	exitOK          = 0
	exitFailed      = 1   // the run failed, or something else went wrong
	exitUsage       = 2   // the command line, a setting or the code cannot be used; nothing was started
	exitInterrupted = 130 // interrupted, 128 + SIGINT
	exitUnread      = 141 // nobody reads what it prints any more, 128 + SIGPIPE
)

// errSaid ends a verb that failed and has said why already.
var errSaid = errors.New("failed")

// usage makes the error of a command line that cannot be used.
func usage(format string, args ...any) error {
	return usererror.New(usererror.CodeUsage, format, args...)
}

// execute runs one command line and gives its exit code: the one place where errors become codes and words.
func execute(ctx context.Context, a *app, args []string) int {
	root := newRoot(a) //nolint:contextcheck // each verb gets it from cobra, by ExecuteContext below
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	var (
		user   *usererror.Error
		gone   = errors.Is(err, syscall.EPIPE) // whoever read what we print
		hidden = gone || errors.Is(err, errSaid) || errors.Is(err, launch.ErrInterrupted)
	)
	if err != nil && !hidden {
		fmt.Fprintln(a.err, "metaml: "+launch.Message(err))
	}
	switch {
	case err == nil:
		return exitOK
	case gone:
		return exitUnread
	case errors.Is(err, launch.ErrInterrupted):
		return exitInterrupted
	case errors.As(err, &user):
		return exitUsage
	default:
		return exitFailed
	}
}

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
			text := fmt.Sprintf("there is no command %q", args[0])
			if n := prose.Nearest(args[0], verbs); n != "" {
				text += fmt.Sprintf("; did you mean %q?", n)
			}
			return usage("%s", text)
		},
	}
	root.SetVersionTemplate("metaml {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		runCommand(a), planCommand(a), runsCommand(a), showCommand(a), logsCommand(a), attachCommand(a), stopCommand(a),
		resumeCommand(a), deleteCommand(a), tensorboardCommand(a), settingsCommand(a), installCommand(a),
		uninstallCommand(a),
		doctorCommand(a), versionCommand(a),
	)
	return root
}

// flagError rewords pflag's complaint and names the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	name, unknown := strings.CutPrefix(text, "unknown flag: --")
	if !unknown {
		return usage("%s: %s", cmd.Name(), text)
	}
	text = fmt.Sprintf("%s has no option --%s", cmd.Name(), name)
	if n := prose.Nearest(name, flagNames(cmd)); n != "" {
		text += fmt.Sprintf("; did you mean --%s?", n)
	}
	return usage("%s", text)
}

// client opens the runs of this user.
func (a *app) client() (*deployer.Client, error) {
	agent, err := beside.Find("metaml-agent")
	if err != nil {
		return nil, err
	}
	return deployer.Open(agent, nil)
}

// getenv looks a variable up in the app's environment.
func (a *app) getenv(name string) string {
	for _, v := range slices.Backward(a.environ) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}
