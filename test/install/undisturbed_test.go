package install_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// undisturbed runs a shell line as make test runs the tests.
func undisturbed(t *testing.T, line string) (string, int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), venv.Python(t), "tools/undisturbed.py", "sh", "-c", line)
	command.Dir = repository(t)
	said, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(said), command.ProcessState.ExitCode()
}

func TestWhatIsLeftBehindIsNamedAndFails(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	said, code := undisturbed(t, `touch "$HOME/.stray" "$TMPDIR/stray"; sleep 67 >/dev/null 2>&1 & echo $! >`+pidFile)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{"home/.stray", "tmp/stray", "sleep 67"} {
		if !strings.Contains(said, "left behind: ") || !strings.Contains(said, want) {
			t.Errorf("said %q, want %q named", said, want)
		}
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	// A dead process that nobody has waited for yet is still listed, as a zombie.
	state, _ := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", strings.TrimSpace(string(text))).Output()
	if state := strings.TrimSpace(string(state)); state != "" && !strings.HasPrefix(state, "Z") {
		t.Errorf("the process still runs, in state %q", state)
	}
}

func TestACleanCommandKeepsItsExitCode(t *testing.T) {
	for _, want := range []int{0, 7} {
		t.Run(fmt.Sprintf("exit code %d", want), func(t *testing.T) {
			said, code := undisturbed(t, fmt.Sprintf(`rm -f "$(mktemp)"; exit %d`, want))
			if code != want || said != "" {
				t.Errorf("exit code %d and %q, want %d and silence", code, said, want)
			}
		})
	}
}
