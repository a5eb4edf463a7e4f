package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/interpreter"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// FindPython gives the interpreter that runs a file.
func (l *Launcher) FindPython(named string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		self = "" // nothing is beside it
	}
	getenv := func(name string) string { return environ.Get(l.Environ, name) }
	return interpreter.Find(interpreter.Search{Named: named, Getenv: getenv, Self: self, Binary: "metaml"})
}

// answering is a short-lived Python that answers questions where there is no live session: it has executed the top
// level of the program that draws the hyperparameters, if there is one.
type answering struct {
	*peer
	cmd *exec.Cmd
	in  io.Closer
}

// startPython starts metaml._session.standalone [FOLDER] in cwd. What lies in cwd is imported by the program in FOLDER
// alone.
func (l *Launcher) startPython(ctx context.Context, python, folder, cwd string) (*answering, error) {
	module, err := pymodule.Dir()
	if err != nil {
		return nil, err
	}
	var args []string
	if folder != "" {
		args = append(args, folder)
	}
	cmd := exec.CommandContext(ctx, python, pymodule.RunModule("metaml._session.standalone", args...)...)
	cmd.Dir = cwd
	cmd.Env = append(slices.Clone(l.Environ), "PYTHONPATH="+joinPath(module, environ.Get(l.Environ, "PYTHONPATH")))
	cmd.Stderr = view.Raw(l.Err)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", python, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", python, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", python, err)
	}
	return &answering{peer: newPeer(out, in), cmd: cmd, in: in}, nil
}

// ask sends the Python a request and words its sudden end.
func (p *answering) ask(ctx context.Context, question talk.Need) (talk.FromModule, error) {
	have, err := p.peer.ask(ctx, question)
	if errors.Is(err, talk.ErrClosed) {
		return have, &usererror.Error{
			Code: usererror.CodePython, Text: p.cmd.Path + " ended before it answered; what it said stands above",
		}
	}
	return have, err
}

// close ends the Python and waits for it.
func (p *answering) close() {
	if p.in != nil {
		_ = p.in.Close() // the end of its input is what it waits for
	}
	_ = p.cmd.Wait() // its answer was read; how it ends does not matter
}

func joinPath(first, rest string) string {
	if rest == "" {
		return first
	}
	return first + string(os.PathListSeparator) + rest
}

// NewEnough reports whether a Python of this version can run programs: 3.10 is the oldest.
func NewEnough(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err == nil && (major > 3 || major == 3 && minor >= 10)
}

// Interpreter reads a Python's version and platform.
func Interpreter(ctx context.Context, python string) (session.Interpreter, error) {
	const ask = `import json, sys, sysconfig; print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % ` +
		`sys.version_info[:3], "platform": sysconfig.get_platform(), "prefix": sys.prefix}))`
	out, err := exec.CommandContext(ctx, python, pymodule.RunCode(ask)...).Output()
	if err != nil {
		return session.Interpreter{}, &usererror.Error{
			Code: usererror.CodePython, Text: fmt.Sprintf("%s does not run: %s", python, err),
		}
	}
	var i session.Interpreter
	if err := json.Unmarshal(out, &i); err != nil {
		return i, fmt.Errorf("ask %s for its version: %w", python, err)
	}
	return i, nil
}

// usable refuses a Python that is too old to run programs.
func usable(doc *session.Document) error {
	if doc.Interpreter.Version == "" || NewEnough(doc.Interpreter.Version) {
		return nil
	}
	return &usererror.Error{
		Code: usererror.CodePython,
		Text: fmt.Sprintf("%s is Python %s, and MetaML needs 3.10 or newer", doc.Interpreter.Path,
			doc.Interpreter.Version),
		Hint: "Name another: --python PATH.",
	}
}
