package lock

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/venv"
)

// session is a lock as the module sends it.
const session = `{"python": "3.11.7", "implementation": "cpython", "platform": "linux-x86_64", "libc": "glibc 2.36",
 "time": "2026-11-29T16:00:00Z", "packages": [
 {"name": "numpy", "version": "2.4.6", "requires": [], "installer": "pip", "editable": false, "pure": false,
  "loaded": true, "root": false},
 {"name": "openpyxl", "version": "3.1.5", "requires": ["et-xmlfile"], "installer": "uv", "editable": false,
  "pure": true, "loaded": true, "root": true},
 {"name": "pandas", "version": "3.1.1", "requires": ["NumPy>=2.0.2; python_version < \"3.14\""], "installer": "pip",
  "editable": false, "pure": false, "loaded": true, "root": true},
 {"name": "tools", "version": "1.0", "requires": [], "installer": "pip", "editable": false, "pure": true,
  "loaded": true, "root": false, "direct_url": {"url": "https://host.example/tools-1.0.zip", "subdirectory": "a b",
  "archive_info": {"hash": "sha256=00ff", "hashes": {"sha256": "00ff"}}}}
]}`

func parsed(t *testing.T) *Lock {
	t.Helper()
	l, err := Parse([]byte(session))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRequirementsOfALock(t *testing.T) {
	l := parsed(t)
	if err := l.Check(nil); err != nil {
		t.Fatal(err)
	}
	requirements, constraints := l.Requirements()
	want := "openpyxl==3.1.5\npandas==3.1.1\ntools @ https://host.example/tools-1.0.zip#" +
		"sha256=00ff&subdirectory=a%20b\n"
	if diff := cmp.Diff(want, requirements); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("numpy==2.4.6\n", constraints); diff != "" {
		t.Error(diff)
	}
}

// What the module says of a real environment is read, accepted, and has what pandas requires.
func TestTheLockOfAnInterpreter(t *testing.T) {
	module, err := filepath.Abs(filepath.Join("..", "..", "..", "jupyter-ext", "python"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), venv.Python(t), "-m", "metaml._session.standalone")
	command.Env = append(os.Environ(), "PYTHONPATH="+module)
	command.Stdin = strings.NewReader(`{"v": 1, "type": "need", "id": 1, "lock": ["pandas", "sys"]}` + "\n")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var have struct{ Lock json.RawMessage }
	if err := json.Unmarshal(out, &have); err != nil {
		t.Fatal(err)
	}
	l, err := Parse(have.Lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(nil); err != nil {
		t.Fatal(err)
	}
	requirements, constraints := l.Requirements()
	if !regexp.MustCompile(`^pandas==\S+\n$`).MatchString(requirements) {
		t.Errorf("the requirements are %q", requirements)
	}
	for _, name := range []string{"numpy", "python-dateutil"} {
		if !strings.Contains("\n"+constraints, "\n"+name+"==") {
			t.Errorf("the constraints have no %s: %q", name, constraints)
		}
	}
	if l.Time.IsZero() || l.Platform == "" || l.Packages[0].Pure == nil {
		t.Errorf("fields are missing: %+v", l)
	}
}

func TestTheKeyIsOfWhatIsInstalled(t *testing.T) {
	was := parsed(t).Key()
	for name, c := range map[string]struct {
		change func(l *Lock)
		same   bool
	}{
		"later":          {func(l *Lock) { l.Time = l.Time.AddDate(0, 0, 1) }, true},
		"elsewhere":      {func(l *Lock) { l.Platform, l.Libc = "macosx-11.0-arm64", "" }, true},
		"loaded":         {func(l *Lock) { l.Packages[1].Loaded = false }, true},
		"patch release":  {func(l *Lock) { l.Python = "3.11.9" }, true},
		"another Python": {func(l *Lock) { l.Python = "3.12.1" }, false},
		"a version":      {func(l *Lock) { l.Packages[0].Version = "2.4.7" }, false},
		"a root":         {func(l *Lock) { l.Packages[0].Root = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := parsed(t)
			c.change(l)
			if same := l.Key() == was; same != c.same {
				t.Errorf("the same key: %t, want %t", same, c.same)
			}
		})
	}
}

func TestWhatCannotBeInstalledAgainIsRefused(t *testing.T) {
	no, yes := false, true
	direct := func(text string) *DirectURL {
		var d DirectURL
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		return &d
	}
	// One change to numpy, which pandas needs, or to pandas, which the program imports.
	for name, c := range map[string]struct {
		change  func(l *Lock, numpy, pandas *Package)
		environ []string
		want    string
	}{
		"another implementation": {
			change: func(l *Lock, _, _ *Package) { l.Implementation = "pypy" },
			want: "the session runs on pypy, and images are made for CPython alone\n" +
				"Name one that has it: --image IMAGE.",
		},
		"no package": {
			change: func(l *Lock, _, _ *Package) { l.Unowned = []string{"stray", "waif"} },
			want: "no installed package brings stray and waif, which the program imports\n" +
				"Put the Python of them into the notebook's folder, whose modules go along; or name an image that " +
				"has them: --image IMAGE.",
		},
		"editable": {
			change: func(_ *Lock, _, pandas *Package) {
				pandas.Editable, pandas.DirectURL = true, direct(`{"url": "file:///home/me/pandas", "dir_info": {}}`)
			},
			want: "pandas was installed to be edited in /home/me/pandas\n" +
				"Put the Python of it into the notebook's folder, whose modules go along; or name an image that has " +
				"it: --image IMAGE.",
		},
		"editable by setup.py": {
			change: func(_ *Lock, numpy, pandas *Package) { numpy.Editable, pandas.Editable = true, true },
			want: "numpy and pandas were installed to be edited in folders of this machine\n" +
				"Put the Python of them into the notebook's folder, whose modules go along; or name an image that " +
				"has them: --image IMAGE.",
		},
		"a folder of Python": {
			change: func(_ *Lock, numpy, _ *Package) {
				numpy.Pure, numpy.DirectURL = &yes, direct(`{"url": "file:///home/me/numpy", "dir_info": {}}`)
			},
			want: "numpy, which pandas needs, was installed from /home/me/numpy, which is on this machine alone\n" +
				"Put the Python of it into the notebook's folder, whose modules go along; or name an image that has " +
				"it: --image IMAGE.",
		},
		"compiled here": {
			change: func(_ *Lock, _, pandas *Package) {
				pandas.Pure = &no
				pandas.DirectURL = direct(`{"url": "file:///tmp/pandas-3.1.1-cp311-cp311-linux_x86_64.whl",
					"archive_info": {}}`)
			},
			want: "pandas was compiled here, from /tmp/pandas-3.1.1-cp311-cp311-linux_x86_64.whl, which is on this " +
				"machine alone\nInstall it from a package index, with pip or uv, and run the cell again; or name an " +
				"image that has it: --image IMAGE.",
		},
		"a repository of source": {
			change: func(_ *Lock, _, pandas *Package) {
				pandas.DirectURL = direct(`{"url": "https://me:secret@host.example/pandas.git",
					"vcs_info": {"vcs": "git", "commit_id": "0123"}}`)
			},
			want: "pandas was installed from git+https://host.example/pandas.git, and no repository of source is " +
				"fetched\nInstall it from a package index, with pip or uv, and run the cell again; or name an image " +
				"that has it: --image IMAGE.",
		},
		"another scheme": {
			change: func(_ *Lock, _, pandas *Package) { pandas.DirectURL = direct(`{"url": "s3://bucket/a.whl"}`) },
			want: "pandas was installed from an address that cannot be fetched: s3://bucket/a.whl\n" +
				"Install it from a package index, with pip or uv, and run the cell again; or name an image that has " +
				"it: --image IMAGE.",
		},
		"conda": {
			change: func(_ *Lock, numpy, pandas *Package) { numpy.Installer, pandas.Installer = "conda", "conda" },
			want: "numpy and pandas were installed by conda, and images are made of what package indexes have\n" +
				"Work in an environment where pip or uv has installed them, or name an image that has them: " +
				"--image IMAGE.",
		},
		"a version of old": {
			change: func(_ *Lock, _, pandas *Package) { pandas.Version = "3.1-custom" },
			want: "pandas was installed with the version \"3.1-custom\", which no package index has\n" +
				"Install it from a package index, with pip or uv, and run the cell again; or name an image that has " +
				"it: --image IMAGE.",
		},
		"a local version": {
			change: func(_ *Lock, numpy, _ *Package) { numpy.Version = "2.8.0+cu121" },
			want: "numpy, which pandas needs, was installed as 2.8.0+cu121, a build that the public package index " +
				"does not have\nName the package index that has it: --index URL; or name an image that " +
				"has it: --image IMAGE.",
		},
		"a local version and an index": {
			change:  func(_ *Lock, numpy, _ *Package) { numpy.Version = "2.8.0+cu121" },
			environ: []string{"HOME=/", "UV_INDEX=https://host.example/cu121"},
		},
		"a local version from its address": {
			change: func(_ *Lock, numpy, _ *Package) {
				numpy.Version, numpy.DirectURL = "2.8.0+cu121", direct(`{"url": "https://host.example/a.whl"}`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := parsed(t)
			c.change(l, &l.Packages[0], &l.Packages[2])
			err := l.Check(c.environ)
			user, ok := errors.AsType[*usererror.Error](err)
			if err != nil && (!ok || user.Code != usererror.CodeLock) {
				t.Errorf("got %v, which has no code", err)
			}
			if diff := cmp.Diff(c.want, said(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// said is what a person sees, "" without an error.
func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestManyNamesAreShortened(t *testing.T) {
	if got := several(strings.Fields("a b c d e f")); got != "a, b, c, d, e and f" {
		t.Error(got)
	}
	if got := several(strings.Fields("a b c d e f g h")); got != "a, b, c, d, e and 3 more" {
		t.Error(got)
	}
}

// A lock that is accepted gives files with as many lines as it has packages: nothing in it ends a line or is an option.
func FuzzLock(f *testing.F) {
	f.Add([]byte(session))
	f.Add([]byte(`{"implementation": "cpython", "packages": [{"name": "a", "version": "1\n-e ."}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil || l.Check(nil) != nil {
			return
		}
		requirements, constraints := l.Requirements()
		lines := strings.Split(requirements+constraints, "\n")
		if len(lines)-1 != len(l.Packages) {
			t.Fatalf("%d packages gave %q and %q", len(l.Packages), requirements, constraints)
		}
		for _, line := range lines[:len(lines)-1] {
			if strings.HasPrefix(line, "-") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q is no requirement", line)
			}
		}
	})
}
