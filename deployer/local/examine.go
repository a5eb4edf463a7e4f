package local

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/metaml/metaml/deployer/run"
)

// Examine checks that runs can be written, and says what the machine has.
func (t *Target) Examine(context.Context) []run.Check {
	return []run.Check{t.examineRuns(), {
		Name: "machine", OK: true, Text: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
	}}
}

func (t *Target) examineRuns() run.Check {
	const remedy = "Set XDG_DATA_HOME to a folder that you can write to."
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return run.Check{Name: "runs", Text: "cannot make " + t.Dir, Remedy: remedy}
	}
	probe, err := os.CreateTemp(t.Dir, ".doctor-")
	if err != nil {
		return run.Check{Name: "runs", Text: "cannot write to " + t.Dir, Remedy: remedy}
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return run.Check{Name: "runs", OK: true, Text: t.Dir}
}
