package install_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// TestTheWheelIsTheSameFromTwoClones, whatever their folders are called and wherever their C compiler is: people can
// then check that a wheel was made from these sources.
func TestTheWheelIsTheSameFromTwoClones(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Fatal(err)
	}
	var wheels [2][]byte
	for i := range wheels {
		clone := filepath.Join(t.TempDir(), strings.Repeat("clone", i+1))
		copyTracked(t, clone)
		cc := filepath.Join(clone, "cc")
		if err := os.Symlink(compiler, cc); err != nil {
			t.Fatal(err)
		}
		in := func(name string, arguments ...string) string {
			command := exec.CommandContext(t.Context(), name, arguments...)
			command.Dir = clone
			command.Env = append(os.Environ(), "CC="+cc, "PYTHON="+venv.Python(t))
			out, err := command.Output()
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, out)
			}
			return strings.TrimSpace(string(out))
		}
		in("make", "build")
		if wheels[i], err = os.ReadFile(filepath.Join(clone,
			in("go", "run", "./cmd/internal/wheel", "-bin", "bin", "-out", "dist"))); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(wheels[0], wheels[1]) {
		t.Errorf("two clones gave wheels of %d and %d bytes that differ", len(wheels[0]), len(wheels[1]))
	}
}

// copyTracked copies the files that git knows, as they are here.
func copyTracked(t *testing.T, to string) {
	t.Helper()
	for name := range strings.SplitSeq(output(t, nil, "git", "ls-files", "-z", "--cached", "--others",
		"--exclude-standard"), "\x00") {
		from := filepath.Join(repository(t), name)
		info, err := os.Lstat(from)
		if name == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}
