package lock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/usererror"
)

// folder writes files, with names relative to a new folder, and goes there.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRequirementsThatIncludeOthers(t *testing.T) {
	folder(t, map[string]string{
		"requirements.txt": "\ufeff# what we need\r\n-r more/base.txt\r\n-c pins.txt\r\nscikit-learn  # the " +
			"estimator\r\n" +
			"pandas[excel]>=2, \\\n  <4 ; python_version >= '3.10'\n# not on " +
			"\\\nhttps://host.example/a-1-py3-none-any.whl#x\n",
		"more/base.txt": "--extra-index-url=https://${USER}@host.example/simple\n-f " +
			"wheels\n-cpins.txt\nNumPy==2.4.6\n" +
			"tools @ https://host.example/t.zip\n--only-binary :all:\n",
		"more/pins.txt": "six==1.17.0\n",
		"pins.txt":      "scipy==1.17.1\n",
	})
	f, err := Read("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := "--extra-index-url https://${USER}@host.example/simple\n--find-links file://" + wd + "/more/wheels\n" +
		"NumPy==2.4.6\ntools @ https://host.example/t.zip\nscikit-learn\n" +
		"pandas[excel]>=2, <4 ; python_version >= '3.10'\nhttps://host.example/a-1-py3-none-any.whl#x\n"
	if diff := cmp.Diff(want, f.Requirements); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("six==1.17.0\nscipy==1.17.1\n", f.Constraints); diff != "" {
		t.Error(diff)
	}
	if f.Kind != KindRequirements || !f.Allows("numpy", "00") {
		t.Errorf("got a file of kind %q that has digests %v", f.Kind, f.Hashes)
	}
}

func TestDigestsAreKeptTo(t *testing.T) {
	sum := strings.Repeat("a1", 32)
	folder(t, map[string]string{
		"requirements.txt": "Six_Pack==1 --hash=sha256:" + strings.ToUpper(sum) + " \\\n    --hash " +
			"md5:00ff\nnumpy\n" +
			"https://host.example/Big_Thing-1-py3-none-any.whl --hash=sha256:" + sum + "\n",
		"required.txt": "--require-hashes\nnumpy\n",
	})
	f, err := Read("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, sum string
		want      bool
	}{
		{"six-pack", sum, true},
		{"six-pack", strings.Repeat("0", 64), false},
		{"big-thing", sum, true},
		{"numpy", sum, false}, // as with pip: one digest asks for all
	} {
		t.Run(c.name+" "+c.sum[:2], func(t *testing.T) {
			if got := f.Allows(c.name, c.sum); got != c.want {
				t.Errorf("allowed %t, want %t", got, c.want)
			}
		})
	}
	if f.Requirements != "Six_Pack==1\nnumpy\nhttps://host.example/Big_Thing-1-py3-none-any.whl\n" {
		t.Errorf("got %q", f.Requirements)
	}
	if f, err = Read("required.txt"); err != nil || f.Allows("numpy", sum) {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestTheKeyOfAFileIsOfWhatItSays(t *testing.T) {
	sum := strings.Repeat("a1", 32)
	folder(t, map[string]string{
		"a.txt": "numpy==2.4.6\n", "b.txt": "# the same\nnumpy==2.4.6 # yes\n", "c.txt": "-r a.txt\n",
		"d.txt": "numpy==2.4.5\n", "e.txt": "numpy==2.4.6 --hash=sha256:" + sum + "\n", "f.txt": "x\n-c a.txt\n",
	})
	keys := map[string]string{}
	for _, name := range []string{"a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt"} {
		f, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = f.Key()
	}
	if keys["a.txt"] != keys["b.txt"] || keys["a.txt"] != keys["c.txt"] {
		t.Error("the same requirements have different keys")
	}
	for _, other := range []string{"d.txt", "e.txt", "f.txt"} {
		if keys["a.txt"] == keys[other] {
			t.Errorf("%s has the key of a.txt", other)
		}
	}
}

func TestRequirementsThatCannotBeKeptTo(t *testing.T) {
	const (
		files = "Put the Python of it into the notebook's folder, whose modules go along; or name an image that " +
			"has it: " +
			"--image IMAGE."
		source = "Install it from a package index, with pip or uv, and run the cell again; or name an image " +
			"that has it: " +
			"--image IMAGE."
	)
	for text, want := range map[string]string{
		"a\n-e ./mine":    "r.txt, line 2: ./mine is to be edited, and lies on this machine alone\n" + files,
		"--editable=mine": "r.txt, line 1: mine is to be edited, and lies on this machine alone\n" + files,
		"./mine":          "r.txt, line 1: ./mine is on this machine alone\n" + files,
		".":               "r.txt, line 1: . is on this machine alone\n" + files,
		"a-1.whl":         "r.txt, line 1: a-1.whl is on this machine alone\n" + files,
		"sub/a":           "r.txt, line 1: sub/a is on this machine alone\n" + files,
		"a @ file:///b":   "r.txt, line 1: a comes from file:///b, which is on this machine alone\n" + files,
		"a @ git+ssh://b": "r.txt, line 1: a is fetched from a repository of source, and images are made of " +
			"wheels\n" + source,
		"git+https://u:p@b": "r.txt, line 1: git+https://b is fetched from a repository of source, and images " +
			"are made of wheels\n" +
			source,
		"a b": "r.txt, line 1: \"a b\" is no requirement\nIt is like NAME, NAME==VERSION or NAME @ URL.",
		"=1":  "r.txt, line 1: \"=1\" is no requirement\nIt is like NAME, NAME==VERSION or NAME @ URL.",
		"--pre": "r.txt, line 1: --pre is an option that cannot be kept to\n" +
			"Take it out of the file, if the packages can be found without it.",
		"--trusted-host h": "r.txt, line 1: --trusted-host is an option that cannot be kept to\n" +
			"Take it out of the file, if the packages can be found without it.",
		"--no-binary a": "r.txt, line 1: --no-binary a asks for packages to be built, and images are made of " +
			"wheels\n" +
			"Take the line out, or name an image that has them: --image IMAGE.",
		"---": "r.txt, line 1: --- is an option that cannot be kept to\nTake it out of the file, if " +
			"the packages can be found without it.",
		"a==1\\\\\nb": "r.txt, line 1: a==1\\ b has a backslash that is not at its end\nTake it out of the file.",
		"-":           "r.txt, line 1: \"-\" is no option\nTake it out of the file.",
		"-i":          "r.txt, line 1: --index-url needs an address\nWrite it behind the option.",
		"-i simple": "r.txt, line 1: --index-url names simple, which is no address\nIt is like " +
			"https://HOST/simple.",
		"-i#h://a": "r.txt, line 1: --index-url names #h://a, which is no address\nIt is like https://HOST/simple.",
		"a\x1b>1":  "r.txt, line 1: \"a\\x1b>1\" has a character that nobody sees\nTake it out of the file.",
		"-r":       "r.txt, line 1: no file stands behind the option\nWrite its name there.",
		"-r http://h/r": "r.txt, line 1: http://h/r is not on this machine\nSave it beside this file, and " +
			"include it from there.",
		"-r none.txt": "none.txt cannot be read: no such file or directory",
		"-r r.txt":    "r.txt is included by itself, or too deep\nTake the line out that includes it.",
		"-c i.txt": "i.txt, line 1: --index-url has no place in a file of constraints\nWrite it into the " +
			"file that includes it.",
		"a --global-option=x": "r.txt, line 1: --global-option is an option that cannot be kept to\n" +
			"Take it out of the file: images are made of wheels, which are not built.",
		"a --hash=sha256:x": "r.txt, line 1: \"sha256:x\" is no digest\nIt is like --hash=sha256:DIGEST.",
		"a --hash=md5:00": "r.txt, line 1: no digest is one of sha256, by which files are compared\nAdd it: " +
			"--hash=sha256:DIGEST.",
		"# nothing": "r.txt requires nothing\nWrite the packages into it, one a line.",
		"a\x00":     "r.txt is no text in UTF-8\nName a requirements.txt, a pylock.toml or a uv.lock.",
	} {
		t.Run(text, func(t *testing.T) {
			folder(t, map[string]string{"r.txt": text, "i.txt": "-i https://host.example/simple"})
			_, err := Read("r.txt")
			if user, ok := errors.AsType[*usererror.Error](err); !ok || user.Code != usererror.CodeRequirements {
				t.Errorf("got %v, which has no code", err)
			}
			if diff := cmp.Diff(want, said(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLockFilesAreKnownByNameAndContent(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kind       Kind
		want       string
	}{
		{"uv.lock", "version = 1\nrevision = 3\n[[package]]\nname = \"a\"\nversion = \"1\"\n", KindUV, ""},
		{"uv.lock", "version = 9\n", "", "uv.lock is no lock of uv, version 1\n`uv lock` writes it anew."},
		{
			"uv.lock", "version = 1\n<<<<<<< ours\n", "",
			"uv.lock, line 2: toml: invalid character at start of key: U+003C '<'\nName a requirements.txt, a " +
				"pylock.toml or a uv.lock.",
		},
		{"pylock.toml", "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1\"\n", KindPylock, ""},
		{"pylock.gpu.toml", "lock-version = \"1.1\"\n", KindPylock, ""},
		{
			"pylock.toml", "lock-version = \"2.0\"\n", "",
			"pylock.toml has lock-version \"2.0\", and 1.0 is known\n`uv export --format pylock.toml` writes it " +
				"anew.",
		},
		{
			"pylock.toml", "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nvcs = {type = \"git\", " +
				"commit-id = \"0\"}\n", "",
			"pylock.toml takes a from source, and images are made of what package indexes have\nPut the Python " +
				"of it into " +
				"the notebook's folder, whose modules go along; or name an image that has it: --image IMAGE.",
		},
		{
			"poetry.lock", "", "",
			"poetry.lock is no file that an image can be made of\n`poetry export --output requirements.txt` " +
				"writes one.",
		},
		{
			"uv.lock", "version = 1\n[[package]]\nname = \"x\"\n", "",
			"uv.lock has no pyproject.toml beside it, which says what it is the lock of\nName the one in the " +
				"project's folder.",
		},
		{"Cargo.lock", "", "", "Cargo.lock is neither pylock.toml nor uv.lock\nName a requirements.txt, a " +
			"pylock.toml or a uv.lock."},
		{"requirements.in", "numpy\n", KindRequirements, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{c.name: c.text}
			if c.kind == KindUV {
				files["pyproject.toml"] = "[project]\n"
			}
			folder(t, files)
			f, err := Read(c.name)
			if diff := cmp.Diff(c.want, said(err)); diff != "" {
				t.Error(diff)
			}
			if c.want == "" && f.Kind != c.kind {
				t.Errorf("got a file of kind %q, want %q", f.Kind, c.kind)
			}
		})
	}
}

// What is accepted is read the same again: it is the whole of what the resolver gets.
func FuzzRequirements(f *testing.F) {
	for _, text := range []string{
		"numpy==2.4.6 --hash=sha256:00 # x\n", "a[b] @ https://c ; os_name == 'nt'\n", "-i https://h\n-f " +
			"w\n--no-index\na\\\n>1\n",
		"-r r.txt", "-c r.txt\n", "https://h/a-1.whl --hash sha256:0\n", "--require-hashes\nx\n",
		"a==1\\\\\\", "a>1\v\v# x\n", "-i#0://h\n", "a !'0\\\\\\",
	} {
		f.Add(text)
	}
	name := filepath.Join(f.TempDir(), "requirements.txt")
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) (string, error) {
			r := reader{file: &File{Path: name}}
			err := r.read(name, text)
			return r.requirements.String(), err
		}
		once, err := read(text)
		if err != nil {
			return
		}
		again, err := read(once)
		if err != nil || again != once {
			t.Errorf("%q became %q, and that %q: %v", text, once, again, err)
		}
	})
}
