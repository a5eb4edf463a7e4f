package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const usage = `usage: metaml-kernel -f CONNECTION_FILE [--python PATH] [arguments for ipykernel]
Jupyter starts it; "metaml install" makes the kernelspec that says how.`

var errHelp = errors.New("help")

type options struct {
	connectionFile, python string
	version                bool
	rest                   []string
}

// parse takes our own arguments and leaves all others, in order, to ipykernel.
func parse(args []string) (options, error) {
	var o options
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, has := strings.Cut(arg, "=")
		var into *string
		switch name {
		case "-h", "--help":
			return o, errHelp
		case "--version":
			o.version = true
			continue
		case "-f", "--f":
			into = &o.connectionFile
		case "--python":
			into = &o.python
		default:
			o.rest = append(o.rest, arg)
			continue
		}
		if !has {
			if len(args) == 0 {
				return o, fmt.Errorf("%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		*into = value
	}
	if o.connectionFile == "" && !o.version {
		return o, errors.New("no connection file: -f CONNECTION_FILE is missing")
	}
	return o, nil
}

// findPython chooses the interpreter to wrap: --python, the one of the prefix that
// this binary lives in, METAML_PYTHON, python3 on PATH.
func findPython(self, chosen string) (string, error) {
	if chosen != "" {
		path, err := exec.LookPath(chosen)
		if err != nil {
			return "", fmt.Errorf("there is no Python at %s (--python): %w", chosen, err)
		}
		return filepath.Abs(path)
	}
	beside := filepath.Join(filepath.Dir(self), "python3")
	looked := []string{beside}
	if path, err := exec.LookPath(beside); err == nil {
		return path, nil
	}
	for _, name := range []string{os.Getenv("METAML_PYTHON"), "python3"} {
		if name == "" {
			looked = append(looked, "METAML_PYTHON (not set)")
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
		looked = append(looked, name)
	}
	return "", fmt.Errorf("no Python was found: looked for %s (on PATH); give one with --python PATH",
		strings.Join(looked, ", "))
}
