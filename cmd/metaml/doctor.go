package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/usererror"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

func doctorCommand(a *app) *cobra.Command {
	var (
		asJSON bool
		python string
	)
	c := &cobra.Command{
		Use: "doctor", Short: "Check that everything a run needs is here, and say what is missing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := a.examine(cmd.Context(), python)
			ill := false
			for _, f := range findings {
				ill = ill || !f.OK
			}
			if asJSON {
				if err := view.PrintJSON(a.out, findings); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					sign := "✓"
					if !f.OK {
						sign = "✗"
					}
					fmt.Fprintf(a.out, "%s %-12s %s\n", sign, f.Name, f.Text)
					if f.Remedy != "" {
						fmt.Fprintf(a.out, "  %-12s %s\n", "", f.Remedy)
					}
				}
			}
			if ill {
				return errSaid
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&python, "python", "", "the Python to look at; without it the active environment's")
	return c
}

func (a *app) examine(ctx context.Context, named string) []run.Check {
	var all []run.Check
	for _, name := range []string{"metaml-agent", "metaml-kernel"} {
		path, err := beside.Find(name)
		if err != nil {
			all = append(all, run.Check{Name: name, Text: err.Error(), Remedy: "Install MetaML again."})
			continue
		}
		all = append(all, run.Check{Name: name, OK: true, Text: path})
	}
	all = append(all, a.examinePython(ctx, named)...)
	if client, err := a.client(); err == nil { // else metaml-agent is missing, which was said
		all = append(all, client.Examine(ctx)...)
	}
	return append(all, a.examineSettings())
}

// packages are what a run or a notebook needs of the user's Python, and what else makes them nicer.
var packages = []struct {
	module, why string
	needed      bool
}{
	{"ipykernel", "notebooks need it", true},
	{"tensorboard", "--tensorboard needs it", false},
	{"pandas", "run.to_pandas() needs it", false},
}

func (a *app) examinePython(ctx context.Context, named string) []run.Check {
	python, err := a.launcher().FindPython(named)
	if err != nil {
		return []run.Check{{Name: "python", Text: launch.Message(err)}}
	}
	i, err := launch.Interpreter(ctx, python)
	if err != nil {
		return []run.Check{{Name: "python", Text: launch.Message(err)}}
	}
	f := run.Check{Name: "python", OK: true, Text: fmt.Sprintf("%s (%s)", python, i.Version)}
	if !launch.NewEnough(i.Version) {
		f.OK, f.Remedy = false, "MetaML needs Python 3.10 or newer. Name another with --python."
	}
	all := []run.Check{f}
	for _, p := range packages {
		const ask = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
		out, err := exec.CommandContext(ctx, python, pymodule.RunCode(ask, p.module)...).Output()
		if err != nil {
			all = append(all, run.Check{
				Name: p.module, OK: !p.needed, Text: "not installed; " + p.why,
				Remedy: fmt.Sprintf("Install it with `%s -m pip install %s`.", python, p.module),
			})
			continue
		}
		all = append(all, run.Check{Name: p.module, OK: true, Text: strings.TrimSpace(string(out))})
	}
	return all
}

func (a *app) examineSettings() run.Check {
	file := settings.FindFile(a.cwd)
	resolved, err := settings.Resolve("train", settings.Sources{Environ: a.environ, File: file})
	if err == nil {
		err = deployer.Supported(resolved, a.others()...)
	}
	if err != nil {
		f := run.Check{Name: "settings", Text: err.Error()}
		if u, ok := errors.AsType[*usererror.Error](err); ok {
			f.Text, f.Remedy = u.Text, u.Hint
		}
		return f
	}
	text := "no metaml.toml here or above"
	if file.Path != "" {
		text = file.Path
	}
	if file.Ignored != "" {
		text += "; " + file.Ignored
	}
	return run.Check{Name: "settings", OK: true, Text: text}
}
