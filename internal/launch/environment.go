package launch

import (
	"context"

	"github.com/metaml/metaml/deployer/image/lock"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/talk"
)

// environment asks what is installed of all that a program needs which imports the modules, and refuses what cannot be
// installed again. environ is the environment of the session.
func environment(ctx context.Context, python answers, modules, environ []string) (*run.Environment, error) {
	if modules == nil {
		modules = []string{} // of nothing: it is asked for nevertheless
	}
	have, err := python.ask(ctx, talk.Need{Lock: modules})
	if err != nil {
		return nil, err
	}
	l, err := lock.Parse(have.Lock)
	if err != nil {
		return nil, err
	}
	if err := l.Check(environ); err != nil {
		return nil, err
	}
	made := &run.Environment{Python: l.Python}
	made.Requirements, made.Constraints = l.Requirements()
	return made, nil
}
