package local

import (
	"context"
	"os/user"
	"runtime"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// Place is this machine, for runs that are submitted from a session.
type Place struct {
	*Target
	environ []string
}

// From gives the place for a session with this environment.
func (t *Target) From(environ []string) Place { return Place{t, environ} }

// ID is "": there is one place on this machine.
func (Place) ID() string { return "" }

// Remarks has nothing to say.
func (Place) Remarks(string) []run.Note { return nil }

// Outline has nothing to say: processes are all there is.
func (Place) Outline(context.Context, run.Submission) ([]run.Section, error) { return nil, nil }

// Environment shares the cores of this machine between so many processes, unless the session says how many threads each
// has.
func (p Place) Environment(processes int) map[string]string {
	for _, kv := range p.environ {
		for _, name := range run.ThreadVariables {
			if strings.HasPrefix(kv, name+"=") {
				return nil // the user's own choice
			}
		}
	}
	n := strconv.Itoa(max(1, runtime.NumCPU()/max(1, processes)))
	env := map[string]string{}
	for _, name := range run.ThreadVariables {
		env[name] = n
	}
	return env
}

// Owner is the Hub's user, else the machine's.
func (p Place) Owner() string {
	for _, kv := range p.environ {
		if name, ok := strings.CutPrefix(kv, "JUPYTERHUB_USER="); ok && name != "" {
			return name
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Uid
	}
	return "unknown"
}
