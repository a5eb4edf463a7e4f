package bytecode

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/image/wheel"
	"github.com/metaml/metaml/test/index"
	"github.com/metaml/metaml/test/venv"
)

var at = wheel.Scheme{Prefix: "opt/venv", Python: "3.11"}

// compile compiles a wheel on a machine of its own, and gives the bytecode by path.
func compile(t *testing.T, c *Compiler, data []byte) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x-1.0-py3-none-any.whl")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wheel.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	sum := sha256.Sum256(data)
	compiled, err := c.Compile(t.Context(), file, hex.EncodeToString(sum[:]), w, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = compiled.Close() }()
	all := map[string]string{}
	for path, content := range compiled.Code {
		r, err := content.Open()
		if err != nil {
			t.Fatal(err)
		}
		code, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = string(code)
	}
	return all
}

func TestSourcesAreCompiledAlikeEverywhere(t *testing.T) {
	files := map[string]string{
		"x/tests/test_x.py": "pass\n", "x/two.py": "print 'Python 2'\n", "x/data.txt": "no source\n",
		"x/names.py": "def f(a): return a in {'b', 'c', 'd', 'e'}\n",
		"ends.py":    "raise SystemExit('it is not executed')\n",
	}
	for i := range 2 * atOnce { // by several processes
		files[fmt.Sprintf("x/m%d.py", i)] = fmt.Sprintf("class C%d:\n    def f(self): return %[1]d, 'x'\n", i)
	}
	data := index.Wheel(t, "x", "1.0", "py3-none-any", files).Data
	python := venv.Python(t)
	first := &Compiler{Python: python, Version: "3.11.7", Folder: t.TempDir()}
	got := compile(t, first, data)
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(path string) bool {
		return path == "x/tests/test_x.py" || path == "x/two.py" || path == "x/data.txt"
	})
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(got))); d != "" {
		t.Error(d)
	}
	other := &Compiler{Python: python, Version: "3.11.7", Folder: t.TempDir()}
	if d := cmp.Diff(got, compile(t, other, data)); d != "" {
		t.Errorf("another machine compiles otherwise: %.500s", d)
	}

	t.Run("once", func(t *testing.T) {
		first.Python = "/nowhere"
		if d := cmp.Diff(got, compile(t, first, data)); d != "" {
			t.Errorf("what is kept is not the same: %.500s", d)
		}
	})
	t.Run("Python takes it, and does not look at the source", func(t *testing.T) {
		folder := t.TempDir()
		if err := os.MkdirAll(filepath.Join(folder, "__pycache__"), 0o700); err != nil {
			t.Fatal(err)
		}
		cached := filepath.Join(folder, "__pycache__", "ends.cpython-311.pyc")
		for path, text := range map[string]string{
			filepath.Join(folder, "ends.py"): "changed = 1\n", cached: got["ends.py"],
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		command := exec.CommandContext(t.Context(), python, "-c", "import ends")
		command.Dir = folder
		if out, err := command.CombinedOutput(); err == nil || !strings.Contains(string(out), "it is not executed") {
			t.Errorf("%s, %v", out, err)
		}
	})
}
