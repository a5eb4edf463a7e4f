// Package local is the target "local": runs are processes on this machine, each run a folder (deployer/folder) and one
// detached process, `metaml-agent monitor`, that owns it (docs/internals/engine.md).
//
// Read [Target] and [Target.Submit] first. The package starts monitors and sends them requests; whoever reads a run
// reads its folder with deployer/record, from any process, also after the machine was restarted.
//
// It imports deployer/run, deployer/folder and deployer/record.
package local

import (
	"context"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/record"
)

// Target is the runs of this machine's user.
type Target struct {
	*record.Reader        // of the run folders
	Agent          string // path of metaml-agent
}

// New gives the target whose monitors are started from the binary agent. Its folder is made when the first run is
// submitted.
func New(agent string) (*Target, error) {
	dir, err := folder.Runs()
	if err != nil {
		return nil, err
	}
	return In(dir, agent), nil
}

// In is a target whose run folders are in dir. Reading it starts monitors where runs that are waited for have none.
func In(dir, agent string) *Target {
	t := &Target{Agent: agent}
	t.Reader = &record.Reader{Dir: dir, Keepers: func(string) (record.Keeper, error) { return t, nil }}
	return t
}

// Keep starts a monitor for a run that has none.
func (t *Target) Keep(ctx context.Context, name string) error {
	return t.start(t.Folder(name), false)
}

// Kept says that everything is.
func (t *Target) Kept(string) error { return nil }

// Fetch brings nothing: outputs are where their trials wrote them.
func (t *Target) Fetch(context.Context, string, int) error { return nil }

// FetchCode has nothing to do: code is where the record has it.
func (t *Target) FetchCode(context.Context, string) error { return nil }
