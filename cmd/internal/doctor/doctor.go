// Package doctor is what `metaml doctor` checks: that everything a run needs is here, or else what is missing and what
// to do.
//
// Read [Examine]. It imports internal/launch, the deployer and cmd/internal/beside.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/usererror"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// Examine checks everything that a run needs: our programs, the Python that python names or else the active one, the
// target, the settings, some of which are given. It starts nothing.
func Examine(ctx context.Context, l *launch.Launcher, python string, given []settings.Given) []run.Check {
	var all []run.Check
	for _, name := range []string{"metaml-agent", "metaml-kernel"} {
		path, err := beside.Find(name)
		if err != nil {
			all = append(all, run.Check{Name: name, Text: err.Error(), Remedy: "Install MetaML again."})
			continue
		}
		all = append(all, run.Check{Name: name, OK: true, Text: path})
	}
	all = append(all, examinePython(ctx, l, python)...)
	check, resolved := examineSettings(l, given)
	if client, err := l.Client(); err == nil { // else metaml-agent is missing, which was said
		all = append(all, client.Examine(ctx, resolved)...)
	}
	return append(all, check)
}

// Print writes checks for people, one each line, with what to do below it.
func Print(w io.Writer, checks []run.Check) {
	for _, c := range checks {
		sign := "✓"
		if !c.OK {
			sign = "✗"
		}
		fmt.Fprintf(w, "%s %-12s %s\n", sign, c.Name, c.Text)
		if c.Remedy != "" {
			fmt.Fprintf(w, "  %-12s %s\n", "", c.Remedy)
		}
	}
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

// failed is the check of what cannot be used.
func failed(name string, err error) run.Check {
	if u, ok := errors.AsType[*usererror.Error](err); ok {
		return run.Check{Name: name, Text: u.Text, Remedy: u.Hint}
	}
	return run.Check{Name: name, Text: err.Error()}
}

func examinePython(ctx context.Context, l *launch.Launcher, named string) []run.Check {
	python, err := l.FindPython(named)
	if err != nil {
		return []run.Check{failed("python", err)}
	}
	i, err := launch.Interpreter(ctx, python)
	if err != nil {
		return []run.Check{failed("python", err)}
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

// examineSettings checks what the settings come from, and gives their values, none where they cannot be used.
func examineSettings(l *launch.Launcher, given []settings.Given) (run.Check, *settings.Resolved) {
	file := settings.FindFile(l.Dir)
	resolved, err := settings.Resolve(run.Train, settings.Sources{
		Line: given, Typed: settings.FromCommand, Environ: l.Environ, File: file, Dir: l.Dir,
	})
	if err != nil {
		return failed("settings", err), new(settings.Resolved)
	}
	text := "no metaml.toml here or above"
	if file.Path != "" {
		text = file.Path
	}
	if file.Ignored != "" {
		text += "; " + file.Ignored
	}
	return run.Check{Name: "settings", OK: true, Text: text}, resolved
}
