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

// before completes what people should know before anything starts: which of the session's variables the program reads,
// where it runs without them, and how much memory a trial gets, where the session decides that.
func (s *Submission) before(ctx context.Context, plan *deployer.Plan) error {
	if plan.Attach != nil || plan.Reuse != nil {
		return nil
	}
	if v := s.Settings.Values["memory"]; v.Origin == settings.FromSession {
		plan.Before = append(
			plan.Before,
			fmt.Sprintf("each trial gets %s of memory, 1.5 times what the session has in "+
				"use; --memory SIZE gives another amount", v.Text),
		)
	}
	if files := s.filesThatStay(); len(files) > 0 {
		verb, them := "stays", "it"
		if len(files) > 1 {
			verb, them = "stay", "them"
		}
		plan.Before = append(
			plan.Before,
			fmt.Sprintf("the program names %s, which %s here; --include %s takes %s along",
				prose.List(files), verb, strings.Join(files, " --include "), them),
		)
	}
	stays, err := s.stays(ctx)
	if err != nil || len(stays) == 0 {
		return err
	}
	verb, them := "stays", "it"
	if len(stays) > 1 {
		verb, them = "stay", "them"
	}
	plan.Before = append(plan.Before, fmt.Sprintf("the program reads %s from its environment, which %s here; "+
		"--env %s or, for a secret, --secret %[3]s takes %[4]s along", prose.List(stays), verb, stays[0], them))
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

// stays names the variables that the program reads, that are set here, and that do not go with it.
func (s *Submission) stays(ctx context.Context) ([]string, error) {
	if s.slice == nil || len(s.slice.Environment) == 0 || !s.Settings.Honours("env") {
		return nil, nil
	}
	set := map[string]bool{}
	if python := s.session(); python != nil {
		have, err := python.ask(ctx, talk.Need{Environment: s.slice.Environment})
		if err != nil {
			return nil, err
		}
		for name := range have.Environ {
			set[name] = true
		}
	} else {
		for _, v := range s.launcher.Environ {
			name, _, _ := strings.Cut(v, "=")
			set[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.slice.Environment), func(name string) bool {
		return !set[name] || s.Settings.Gives(name)
	}), nil
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
