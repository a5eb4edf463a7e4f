package launch

import (
	"context"

	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/lock"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/talk"
)

// environment asks what is installed of all that a program needs which imports the modules, and refuses what cannot be
// installed again. Where the settings name a file of requirements, that says it. environ is the environment of the
// session.
func environment(
	ctx context.Context, python answers, modules []string, s *settings.Resolved, environ []string,
) (*run.Environment, error) {
	if modules == nil {
		modules = []string{} // of nothing: it is asked for nevertheless
	}
	named := s.Has("requirements")
	if named {
		modules = []string{} // of the session the version of its Python counts alone
	}
	have, err := python.ask(ctx, talk.Need{Lock: modules})
	if err != nil {
		return nil, err
	}
	l, err := lock.Parse(have.Lock)
	if err != nil {
		return nil, err
	}
	if named {
		return written(s.Text("requirements"), l)
	}
	if err := l.Check(indexes.Add(environ, s.List("index"))); err != nil {
		return nil, err
	}
	made := &run.Environment{Python: l.Python, Time: l.Time}
	made.Requirements, made.Constraints = l.Requirements()
	return made, nil
}

// written is what a file of requirements says for a session with such a Python.
func written(path string, l *lock.Lock) (*run.Environment, error) {
	if err := l.CheckPython(); err != nil {
		return nil, err
	}
	f, err := lock.Read(path)
	if err != nil {
		return nil, err
	}
	made := &run.Environment{
		Python: l.Python, File: path, Key: f.Key(), Requirements: f.Requirements, Constraints: f.Constraints,
		Hashes: f.Hashes,
	}
	switch f.Kind {
	case lock.KindPylock:
		made.Pylock = string(f.Text)
	case lock.KindUV:
		made.UVLock, made.Project = string(f.Text), string(f.Project)
	case lock.KindRequirements:
	}
	return made, nil
}

// needs are the modules that a program imports, each with the package that brings it here.
func needs(packages map[string]talk.Distribution) map[string]string {
	all := map[string]string{}
	for module, d := range packages {
		if d.Name != "" && d.Name != "metaml" { // which the pods of a run have
			all[module] = d.Name
		}
	}
	return all
}
