package ship

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// A program runs where MetaML is not, with the module that stands in for it.
func TestAProgramRunsWithTheStandIn(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"metaml.py": string(StandIn),
		"main.py": `
import metaml
from metaml import Train

@Train(settings={"completions": 2})
def fit(x):
    metaml.report(3, loss=x)
    (metaml.output() / "model").write_text("kept")
    metaml.checkpoint()
    return metaml.trial(), metaml.attempt(), metaml.seed() == metaml.seed() == 7

print(fit(0.5))
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), venv.Python(t), "-B", filepath.Join(dir, "main.py"))
	run.Dir, run.Env = dir, []string{"SEED=7"}
	out, err := run.CombinedOutput()
	if want := "{\"step\": 3, \"loss\": 0.5}\n(None, None, True)\n"; err != nil || string(out) != want {
		t.Errorf("it prints %q, want %q: %v", out, want, err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "output", "model")); err != nil || string(kept) != "kept" {
		t.Errorf("it keeps %q: %v", kept, err)
	}
}
