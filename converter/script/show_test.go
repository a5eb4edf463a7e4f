package script

import (
	"os/exec"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// TestShowIsIPythons shows generated values as scripts do, and as IPython does, the newest and the oldest.
func TestShowIsIPythons(t *testing.T) {
	t.Parallel()
	for name, python := range map[string]string{"newest": venv.Python(t), "oldest": venv.Oldest(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), python, "testdata/show.py", "helpers/show.py", "0", "3000")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
