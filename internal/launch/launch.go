// Package launch goes from a document to a run: from a cell of a live session, a saved notebook, a script or a program
// folder. A source says which document, which entry and which settings; everything after that is the same for all:
// slice, program, plan, submission. It takes streams, environment and folder as values, so that any program can use it.
//
// Read [Launcher] and submission.go first: [Launcher.Open] makes a submission of a file (file.go), [Launcher.Converse]
// one of a cell or a decorated call (cell.go). watch, below it, shows what was submitted. The package imports the
// converter, the deployer and internal/talk.
package launch

import (
	"context"
	"errors"
	"io"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/environ"
)

// ErrInterrupted ends what whoever requested it has given up; nothing was started.
var ErrInterrupted = errors.New("interrupted")

// Launcher is what every launch needs of the process that it is done in.
type Launcher struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // NAME=VALUE
	Dir      string   // the current folder, absolute
	Binary   string   // path of metaml, with which the Python module reads runs later; "": it searches for one
	Cache    string   // folder for what interpreters answered; "": nothing is kept
	// Client opens the targets.
	Client func() (*deployer.Client, error)
}

// proxy is the path below which a browser reaches ports of this machine, where a Hub has one.
func (l *Launcher) proxy() string { return environ.Get(l.Environ, "JUPYTERHUB_SERVICE_PREFIX") }

// resolve finds the values of the settings and refuses those that their target cannot honour. Each source calls it.
func (l *Launcher) resolve(kind run.Kind, from settings.Sources) (*settings.Resolved, error) {
	resolved, err := settings.Resolve(kind, from)
	if err != nil {
		return nil, err
	}
	client, err := l.Client()
	if err != nil {
		return nil, err
	}
	return resolved, client.Check(resolved)
}

// open opens the target and finds the model that the settings name. python answers for a living session; nil: there is
// none.
func (s *Submission) open(ctx context.Context, python answers) error {
	if err := usable(s.doc); err != nil {
		return err
	}
	var err error
	if s.client, err = s.launcher.Client(); err != nil {
		return err
	}
	s.model, err = resolveModel(ctx, s.client, python, s.Settings.Text("model"))
	return err
}
