package program

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

func TestDigestIsOfTheCodeAlone(t *testing.T) {
	base := []string{"import math\nK = 2", "def g(x):\n    return math.sin(x) * K", "def f(a=1):\n    return g(a)"}
	want := sliced(t, base, slicer.Options{}).Digest
	for name, cells := range map[string][]string{
		"comments": {
			"# why\nimport math  # m\nK = 2",
			"# g\n\ndef g(x):\n    # sine\n    return math.sin(x) * K  # yes", "def f(a=1):\n    return g(a)",
		},
		"blank lines": {
			"import math\n\n\nK = 2\n", "def g(x):\n\n    return math.sin(x) * K\n\n",
			"\n\ndef f(a=1):\n\n\n    return g(a)",
		},
		"cells between": {
			"import math\nK = 2", "print(K)", "def g(x):\n    return math.sin(x) * K",
			"%%train\ndef f(a=1):\n    return g(a)",
		},
		"cells run again": {
			"import math\nK = 2", "def g(x):\n    return math.sin(x) * K", "import math\nK = 2",
			"def g(x):\n    return math.sin(x) * K", "def f(a=1):\n    return g(a)", "def f(a=1):\n    return g(a)",
		},
		"cells cut otherwise": {
			"import math", "K = 2\ndef g(x):\n    return math.sin(x) * K", "def f(a=1):\n    return g(a)",
		},
		"space at the end": {
			"import math   \nK = 2\t", "def g(x):\n    return math.sin(x) * K",
			"def f(a=1):  \n    return g(a)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if p := sliced(t, cells, slicer.Options{}); p.Digest != want {
				t.Errorf("the digest changed:\n%s", p.Main())
			}
		})
	}
	for name, cells := range map[string][]string{
		"a constant":  {"import math\nK = 3", base[1], base[2]},
		"a docstring": {base[0], "def g(x):\n    'sine'\n    return math.sin(x) * K", base[2]},
		"a default":   {base[0], base[1], "def f(a=2):\n    return g(a)"},
	} {
		t.Run(name, func(t *testing.T) {
			if p := sliced(t, cells, slicer.Options{}); p.Digest == want {
				t.Errorf("the digest did not change:\n%s", p.Main())
			}
		})
	}
}

func TestFolderComesBack(t *testing.T) {
	p := sliced(t, []string{
		"import random\nr = random.Random()\nrandom.seed(1)",
		"from metaml import output\nasync def f(a: int, *, b='x'):\n    yield output(), r",
	}, slicer.Options{})
	if err := p.Add(File{Path: "tools/run.sh", Mode: 0o755, Data: []byte("#!/bin/sh\n")}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a", "program")
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	q, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, q) {
		t.Errorf("wrote\n%+v\nread\n%+v", p, q)
	}
	if err := p.Write(dir); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("writing over a program: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".program-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestChangedFolderIsRefused(t *testing.T) {
	p := sliced(t, []string{"def f(): return 1"}, slicer.Options{})
	for name, damage := range map[string]func(dir string) error{
		"was changed after it was made": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "code", "main.py"), []byte("x = 1\n"), 0o600)
		},
		"no code/main.py": func(dir string) error {
			return os.Remove(filepath.Join(dir, "code", "main.py"))
		},
		"no code/program.json": func(dir string) error {
			return os.Remove(filepath.Join(dir, "code", "program.json"))
		},
		"not a regular file": func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, "code", "x.py"))
		},
		"read the program folder": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "code")) },
		"program folder of version 9": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "code", "program.json"), []byte(`{"v":9}`), 0o600)
		},
		"invalid character": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "map.json"), []byte(`nothing`), 0o600)
		},
		"its digest is": func(dir string) error { return os.Chmod(filepath.Join(dir, "code", "main.py"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "program")
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("want %q, got %v", name, err)
			}
		})
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	p := sliced(t, []string{"def f(): return 1"}, slicer.Options{})
	p.Files = append(p.Files, File{Path: "../escape.py"})
	dir := t.TempDir()
	if err := p.Write(filepath.Join(dir, "program")); err == nil {
		t.Error("a path outside of the folder was written")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLocalModulesRunInAnEmptyFolder(t *testing.T) {
	src := t.TempDir()
	for name, text := range map[string]string{
		"mylib.py":        "from pkg import two\ndef g(): return two.x\n",
		"pkg/__init__.py": "", "pkg/two.py": "from .three import x\n", "pkg/three.py": "x = 42\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc := notebook([]string{"import mylib", "def f(): return mylib.g()"})
	doc.Cwd = src
	if out := runIt(t, made(t, doc, slicer.Options{})); out != "42\n" {
		t.Errorf("got %q", out)
	}
	if err := os.WriteFile(filepath.Join(src, "main.py"), []byte("x = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc = notebook([]string{"import main", "def f(): return main.x"})
	doc.Cwd = src
	s, err := slicer.Of(context.Background(), doc, slicer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Make(s, Train); err == nil ||
		!strings.Contains(err.Error(), `the local module "main" cannot come along`) {
		t.Errorf("got %v", err)
	}
}

func made(t *testing.T, doc *session.Document, o slicer.Options) *Program {
	t.Helper()
	s, err := slicer.Of(context.Background(), doc, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(s, Train)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runIt writes a program and runs its command line from an empty folder.
func runIt(t *testing.T, p *Program, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "program")
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), venv.Python(t),
		append([]string{filepath.Join(dir, "code", Main)}, args...)...)
	cmd.Dir = t.TempDir()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), p.Main())
	}
	return string(out)
}

func TestShippedValueIsLoaded(t *testing.T) {
	doc := notebook([]string{
		"class Net:\n    def out(self): return self.x", "net = 1 / 0", "y = net.out()", "def f(): return net.out() + y",
	})
	doc.Names = map[string]session.Name{"net": {Kind: "value", Type: "__main__.Net"}}
	p := made(t, doc, slicer.Options{With: []string{"net"}})
	cmd := exec.CommandContext(t.Context(), venv.Python(t), "-c",
		"import pickle, sys\nclass Net: pass\nn = Net(); n.x = 21\nsys.stdout.buffer.write(pickle.dumps(n))")
	data, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Add(File{Path: WithPath("net"), Data: data}); err != nil {
		t.Fatal(err)
	}
	if out := runIt(t, p); out != "42\n" {
		t.Errorf("got %q", out)
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	p := sliced(t, []string{"def f(learning_rate: float, help=1, _x=2, d={'a': '%s'}): return 1"}, slicer.Options{})
	out := runIt(t, p, "--help")
	for _, want := range []string{"--learning-rate", "--help-", "--_x", "default: {'a': '%s'}"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"v":1,"kind":"train","entry":"f","parameters":[]}`), []byte(`{"v":1,"digest":"","lines":[]}`))
	f.Fuzz(func(t *testing.T, manifest, sm []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "code"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{
			"code/main.py": []byte("x"), "code/program.json": manifest,
			"map.json": sm,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := Read(dir); err == nil && p.Entry == "" {
			t.Error("a program without an entry was read")
		}
	})
}
