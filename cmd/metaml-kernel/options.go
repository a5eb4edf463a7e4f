package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/metaml/metaml/internal/interpreter"
	"github.com/metaml/metaml/internal/usererror"
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

// findPython chooses the interpreter to wrap. Jupyter's environment is not a choice of the user's.
func findPython(self, chosen string) (string, error) {
	path, err := interpreter.Find(interpreter.Search{
		Named: chosen, Getenv: os.Getenv, Inherited: true, Self: self, Binary: "metaml-kernel",
	})
	if user, ok := errors.AsType[*usererror.Error](err); ok {
		return "", errors.New(usererror.Sentences(user.Text, user.Hint)) // one line
	}
	return path, err
}
