package launch

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/talk"
)

// before completes what people should know before anything starts: how much memory a trial gets, where the session
// decides that, and which files and variables the program uses that it will not have.
func (s *Submission) before(ctx context.Context, plan *deployer.Plan) error {
	if plan.Attach != nil || plan.Reuse != nil {
		return nil
	}
	say := func(format string, args ...any) {
		plan.Before = append(plan.Before, fmt.Sprintf(format, args...))
	}
	if v := s.Settings.Values["memory"]; v.Origin == settings.FromSession {
		say("each trial gets %s of memory, 1.5 times what the session has in use; --memory SIZE gives another amount",
			v.Text)
	}
	switch files := s.filesThatStay(); len(files) {
	case 0:
	case 1:
		say("the program names %s, which stays here; --include %[1]s takes it along", files[0])
	default:
		say("the program names %s, which stay here; --include PATH takes one along", prose.List(files))
	}
	switch names, err := s.variablesThatStay(ctx); {
	case err != nil:
		return err
	case len(names) == 1:
		say("the program reads %s from its environment, which stays here; --env %[1]s, or --secret %[1]s for a "+
			"secret, takes it along", names[0])
	case len(names) > 1:
		say("the program reads %s from its environment, which stay here; --env NAME, or --secret NAME for a secret, "+
			"takes one along", prose.List(names))
	}
	return nil
}

// filesThatStay names the files below the working directory that the program mentions and that do not go with it.
func (s *Submission) filesThatStay() []string {
	if s.slice == nil || !s.Settings.Honours("include") {
		return nil
	}
	goes := s.Settings.Include()
	var stay []string
	for _, f := range s.slice.Files {
		below, err := filepath.Rel(s.doc.Cwd, f.File)
		if err != nil || !fs.ValidPath(filepath.ToSlash(below)) || slices.Contains(stay, below) ||
			slices.ContainsFunc(goes, func(p string) bool {
				return p == "." || below == p || strings.HasPrefix(below, p+"/")
			}) {
			continue
		}
		stay = append(stay, below)
	}
	return stay
}

// variablesThatStay names those that the program reads, that are set here, and that do not go with it.
func (s *Submission) variablesThatStay(ctx context.Context) ([]string, error) {
	if s.slice == nil || len(s.slice.Environment) == 0 || !s.Settings.Honours("env") {
		return nil, nil
	}
	set, err := s.variablesThatAreSet(ctx, s.slice.Environment)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(s.slice.Environment), func(name string) bool {
		return !set[name] || s.Settings.Gives(name)
	}), nil
}

// variablesThatAreSet says which variables are set in the session, or where the command was started.
func (s *Submission) variablesThatAreSet(ctx context.Context, names []string) (map[string]bool, error) {
	set := map[string]bool{}
	if python := s.session(); python != nil {
		have, err := python.ask(ctx, talk.Need{Environment: names})
		if err != nil {
			return nil, err
		}
		for name := range have.Environ {
			set[name] = true
		}
		return set, nil
	}
	for _, v := range s.launcher.Environ {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	return set, nil
}

// memoryStep is what an amount of memory that follows from the session's is rounded up to, in bytes.
const memoryStep = 256 << 20

// memory asks for as much as a trial is likely to need, which is more than the session has in use where the program
// works on what the session has loaded. It is left alone where somebody chose it.
func (s *Submission) memory() {
	chosen := s.Settings.Values["memory"]
	if chosen.Origin != settings.FromDefault || !s.Settings.Honours("memory") {
		return
	}
	need := (s.doc.Memory*3/2 + memoryStep - 1) / memoryStep * memoryStep
	if usual, err := settings.ParseMemory(chosen.Text); err != nil || need <= usual {
		return
	}
	s.Settings.Values["memory"] = settings.Value{Text: fmt.Sprintf("%dMi", need>>20), Origin: settings.FromSession}
}
