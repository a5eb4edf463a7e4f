package requirements_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/test/venv"
)

// environment is a virtual environment with nothing but what a test lays into it.
type environment struct {
	t      *testing.T
	folder string
	python string
	site   string
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	base, err := filepath.EvalSymlinks(venv.Python(t))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "venv")
	e := &environment{t: t, folder: folder, python: filepath.Join(folder, "bin", "python")}
	write(t, 0o644, "home = "+filepath.Dir(base)+"\n", folder, "pyvenv.cfg")
	if err := os.MkdirAll(filepath.Dir(e.python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(base, e.python); err != nil {
		t.Fatal(err)
	}
	e.site = e.run("import sysconfig; print(sysconfig.get_path('purelib'))")
	return e
}

// run runs code in the environment.
func (e *environment) run(code string, args ...string) string {
	e.t.Helper()
	return runPython(e.t, e.python, code, args...)
}

func runPython(t *testing.T, python, code string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), python, append([]string{"-c", code}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// install lays a distribution of version 1.0 into the environment, as an installer does. A file whose name begins with
// "+" belongs into its .dist-info.
func (e *environment) install(name string, headers []string, files map[string]string) {
	e.t.Helper()
	about := filepath.Join(e.site, strings.ReplaceAll(name, "-", "_")+"-1.0.dist-info")
	head := append([]string{"Metadata-Version: 2.1", "Name: " + name, "Version: 1.0"}, headers...)
	write(e.t, 0o644, strings.Join(head, "\n")+"\n\nText\n", about, "METADATA")
	var record strings.Builder
	for file, text := range files {
		if inner, ok := strings.CutPrefix(file, "+"); ok {
			write(e.t, 0o644, text, about, inner)
			continue
		}
		write(e.t, 0o644, text, e.site, file)
		fmt.Fprintf(&record, "%s,,\n", file)
	}
	write(e.t, 0o644, record.String(), about, "RECORD")
}

func (e *environment) resolve(source string, asked ...requirements.Asked) *requirements.Set {
	e.t.Helper()
	return resolve(e.t, e.python, source, asked...)
}

func resolve(t *testing.T, python, source string, asked ...requirements.Asked) *requirements.Set {
	t.Helper()
	imports, err := requirements.Imports(source)
	if err != nil {
		t.Fatal(err)
	}
	s := requirements.Script{Imports: imports, Asked: asked}
	set, err := s.Resolve(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func pip(text string) requirements.Asked {
	return requirements.Asked{Kind: requirements.Pip, Text: text, Cell: 1}
}

// one is a module's file.
func one(file string) map[string]string { return map[string]string{file: ""} }

func TestWhatAnEnvironmentHas(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	direct := func(format string, args ...any) map[string]string {
		return map[string]string{"+direct_url.json": fmt.Sprintf(format, args...)}
	}
	for _, c := range []struct {
		name   string
		lay    func(e *environment)
		source string
		asked  []requirements.Asked
		want   string // lines of requirements.txt
		note   string // stands in its comments
	}{
		{
			name: "a module of another name", source: "import other",
			lay: func(e *environment) { e.install("Some.Name", nil, one("other/__init__.py")) }, want: "some-name==1.0",
		},
		{
			name: "a single file", source: "import single",
			lay: func(e *environment) { e.install("of-one-file", nil, one("single.py")) }, want: "of-one-file==1.0",
		},
		{
			name: "what it requires", source: "import a",
			lay: func(e *environment) {
				requires := []string{"Requires-Dist: b (>=0.5)", `Requires-Dist: c ; python_version < "3"`}
				e.install("a", requires, one("a.py"))
				e.install("b", []string{"Requires-Dist: a"}, one("b.py"))
				e.install("c", nil, one("c.py"))
			}, want: "a==1.0|b==1.0", note: "    # via a\n",
		},
		{
			name: "on some platforms", source: "import a",
			lay: func(e *environment) {
				e.install("a", []string{
					`Requires-Dist: b ; sys_platform != "win32" and python_version >= "3"`, "Requires-Dist: c",
				}, one("a.py"))
				e.install("b", []string{`Requires-Dist: d; os_name == "posix" or os_name == "java"`}, one("b.py"))
				e.install("c", []string{`Requires-Dist: e; sys_platform != "win32"`, "Requires-Dist: d2"}, one("c.py"))
				e.install("d", nil, one("d.py"))
				e.install("d2", nil, one("d2.py"))
				e.install("e", []string{"Requires-Dist: d2"}, one("e.py"))
			},
			want: `a==1.0|b==1.0 ; sys_platform != "win32"|c==1.0|` +
				`d==1.0 ; (os_name == "posix" or os_name == "java") and sys_platform != "win32"|d2==1.0|` +
				`e==1.0 ; sys_platform != "win32"`,
		},
		{
			name: "what it requires is missing", source: "import a", want: "a==1.0",
			lay:  func(e *environment) { e.install("a", []string{"Requires-Dist: gone"}, one("a.py")) },
			note: "# a requires gone, which is not installed\n",
		},
		{
			name: "extras that a cell asked for", source: "import a",
			asked: []requirements.Asked{pip("'A[Fast]>=0.9'")},
			lay: func(e *environment) {
				e.install("a", []string{
					"Provides-Extra: fast", `Requires-Dist: b ; extra == "fast"`, `Requires-Dist: c ; extra == "slow"`,
				}, one("a.py"))
				e.install("b", nil, one("b.py"))
				e.install("c", nil, one("c.py"))
			}, want: "a[fast]==1.0|b==1.0", note: "    # pip install, cell 1; import a, line 1\n",
		},
		{
			name: "what is not imported", asked: []requirements.Asked{pip("a")},
			lay: func(e *environment) { e.install("a", nil, one("a.py")) }, want: "a==1.0",
		},
		{
			name: "another version than a cell asks for", source: "import a",
			asked: []requirements.Asked{pip("'a>=2,<3'")},
			lay: func(e *environment) {
				e.install("a", []string{"Requires-Dist: b"}, one("a.py"))
				e.install("b", nil, one("b.py"))
			}, want: "a>=2,<3", note: "# a 1.0 is installed, and a>=2,<3 (pip install, cell 1)",
		},
		{
			name: "what a cell does not ask for here", asked: []requirements.Asked{pip(`"a; sys_platform == 'win32'"`)},
			lay: func(e *environment) { e.install("a", nil, one("a.py")) },
		},
		{
			name:  "what a cell asks for on some platforms",
			asked: []requirements.Asked{pip(`"a; sys_platform != 'win32'"`), pip(`"b; sys_platform != 'win32'"`)},
			lay: func(e *environment) {
				e.install("a", []string{"Requires-Dist: c"}, one("a.py"))
				e.install("b", nil, one("b.py"))
				e.install("c", nil, one("c.py"))
			},
			source: "import b", want: "a==1.0 ; sys_platform != 'win32'|b==1.0|c==1.0 ; sys_platform != 'win32'",
		},
		{
			name: "what is not installed", source: "import sklearn", asked: []requirements.Asked{pip("'b>1'")},
			want: "b>1|scikit-learn", note: "    # import sklearn, line 1, not installed\n    # unpinned\n",
		},
		{
			name: "an optional one that is there", source: "try:\n  import a, b\nexcept ImportError:\n  pass",
			lay:  func(e *environment) { e.install("a", nil, one("a.py")) },
			want: "a==1.0", note: "# import b, line 2, optional, not installed: b is left out\n",
		},
		{
			name: "a part of a namespace", source: "import corp.two.deep\nfrom corp import three",
			lay: func(e *environment) {
				for _, part := range []string{"one", "two", "three"} {
					e.install("corp-"+part, nil, one("corp/"+part+"/__init__.py"))
				}
			}, want: "corp-three==1.0|corp-two==1.0",
		},
		{
			name: "a namespace alone", source: "import corp",
			lay: func(e *environment) {
				e.install("corp-one", nil, one("corp/one/__init__.py"))
				e.install("corp-two", nil, one("corp/two.py"))
			}, note: "# import corp, line 1: corp-one, corp-two have parts of it, and nothing says which are needed\n",
		},
		{
			name: "a package and its plugin", source: "import whole\n",
			lay: func(e *environment) {
				e.install("whole", nil, one("whole/__init__.py"))
				e.install("whole-plugin", nil, one("whole/plugins/more.py"))
			}, want: "whole==1.0",
		},
		{
			name: "a plugin", source: "import whole.plugins.more",
			lay: func(e *environment) {
				e.install("whole", nil, one("whole/__init__.py"))
				e.install("whole-plugin", nil, one("whole/plugins/more.py"))
			}, want: "whole==1.0|whole-plugin==1.0",
		},
		{
			name: "a repository", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, direct(`{"url": "https://me:secret@x.org/a.git", "subdirectory": "py",
					"vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": %q}}`, commit))
			}, want: "a @ git+https://x.org/a.git@" + commit + "#subdirectory=py",
		},
		{
			name: "a repository that a cell names", asked: []requirements.Asked{pip("git+https://x.org/A.git@main")},
			lay: func(e *environment) {
				e.install("b", nil, direct(
					`{"url": "https://x.org/a", "vcs_info": {"vcs": "git", "commit_id": %q}}`, commit))
			}, want: "b @ git+https://x.org/a@" + commit,
		},
		{
			name:  "a release where a cell names a repository",
			asked: []requirements.Asked{pip("'a @ git+https://x.org/a'")},
			lay:   func(e *environment) { e.install("a", nil, one("a.py")) }, want: "a @ git+https://x.org/a",
			note: "# a 1.0 is installed, and a @ git+https://x.org/a",
		},
		{
			name: "an address", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, direct(`{"url": "https://x.org/a-1.0-py3-none-any.whl",
					"archive_info": {"hash": "sha256=%064d"}}`, 7))
			}, want: "a @ https://x.org/a-1.0-py3-none-any.whl#sha256=" + fmt.Sprintf("%064d", 7),
		},
		{
			name: "a folder", source: "import a",
			lay: func(e *environment) {
				files := direct(`{"url": "file:///home/me/my%%20a/", "dir_info": {}}`)
				e.install("a", []string{"Requires-Dist: b"}, files)
				e.install("b", nil, one("b.py"))
			}, want: "b==1.0",
			note: `# a 1.0 is not in here: it was installed from the folder "my a", which nobody else has`,
		},
		{
			name: "a file", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, direct(`{"url": "file:///home/me/a-1.0-py3-none-any.whl", "archive_info": {}}`))
			}, note: `it was installed from the file "a-1.0-py3-none-any.whl", which nobody else has`,
		},
		{
			name: "a folder that is edited, with a module of another name", source: "import inner",
			lay: func(e *environment) {
				source := filepath.Join(e.folder, "my source")
				write(e.t, 0o644, "", source, "inner", "__init__.py")
				e.install("mine", nil, map[string]string{
					"_mine.pth": source,
					"+direct_url.json": fmt.Sprintf(
						`{"url": "file://%s/my%%20source", "dir_info": {"editable": true}}`, e.folder),
				})
			}, note: `# mine 1.0 is not in here: it is edited in the folder "my source", which nobody else has`,
		},
		{
			name: "a folder that setup.py develops", source: "import older",
			lay: func(e *environment) {
				source := filepath.Join(e.folder, "src")
				write(e.t, 0o644, "", source, "older.py")
				about := "Metadata-Version: 1.0\nName: older\nVersion: 1.0\n"
				write(e.t, 0o644, about, source, "older.egg-info", "PKG-INFO")
				write(e.t, 0o644, source+"\n", e.site, "easy-install.pth")
			}, note: `# older 1.0 is not in here: it is edited in the folder "src", which nobody else has`,
		},
		{
			name: "what conda installed", source: "import a, b",
			lay: func(e *environment) {
				files := direct(`{"url": "file:///home/conda/feedstock_root/build_artifacts/a", "dir_info": {}}`)
				files["+INSTALLER"] = "conda\n"
				e.install("a", nil, files)
				e.install("b", nil, one("b.py"))
				write(e.t, 0o644, "{}", e.folder, "conda-meta", "b-1.0-py311_0.json")
			}, want: "a==1.0|b==1.0", note: "    # import a, line 1\n    # conda installed it\n",
		},
		{
			name: "without metadata", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, one("a.py"))
				if err := os.Remove(filepath.Join(e.site, "a-1.0.dist-info", "METADATA")); err != nil {
					e.t.Fatal(err)
				}
			}, want: "a==1.0",
		},
		{
			name: "with broken metadata", source: "import a, b, c",
			lay: func(e *environment) {
				e.install("a", []string{"Requires-Dist: ///", "Requires-Python: soon"}, one("a.py"))
				write(e.t, 0o644, "\xff\xfe\x00nothing", e.site, "b-1.0.dist-info", "METADATA")
				e.install("c", nil, map[string]string{"c.py": "", "+direct_url.json": "{"})
			}, want: "a==1.0|b==1.0|c==1.0",
		},
		{
			name: "with a version that nobody has", source: "import a",
			lay: func(e *environment) {
				write(e.t, 0o644, "Name: a\nVersion: my own\n", e.site, "a-own.dist-info", "METADATA")
			}, want: "a", note: `# a is installed with the version "my own", which no index has`,
		},
		{
			name: "with an address of two lines", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, direct(`{"url": "https://x.org/\n-e .", "archive_info": {}}`))
			}, want: "a==1.0", note: "# a was installed from an address that cannot be read",
		},
		{
			name: "a build of its own", source: "import torch, a",
			lay: func(e *environment) {
				for _, name := range []string{"torch", "a"} {
					about := "Name: " + name + "\nVersion: 2.1.0+cu121\n"
					write(e.t, 0o644, about, e.site, name+"-2.1.0+cu121.dist-info", "METADATA")
				}
			},
			want: "--extra-index-url https://download.pytorch.org/whl/cu121|a==2.1.0+cu121|torch==2.1.0+cu121",
			note: "# a 2.1.0+cu121 is a build that the public index does not have: name the index that has it",
		},
		{
			name: "a module of no distribution", source: "import stray",
			lay:  func(e *environment) { write(e.t, 0o644, "", e.site, "stray.py") },
			note: "# import stray, line 1: it is found, and no distribution has it",
		},
		{
			name: "where something prints at the start", source: "import a",
			lay: func(e *environment) {
				e.install("a", nil, one("a.py"))
				noise := "import sys; print('hello', end=''); print('{', file=sys.stderr)"
				write(e.t, 0o644, noise, e.site, "noise.pth")
			}, want: "a==1.0",
		},
		{
			name: "an environment without anything", source: "import os\n", want: "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnvironment(t)
			if c.lay != nil {
				c.lay(e)
			}
			text := e.resolve(c.source, c.asked...).Requirements()
			if got := strings.Join(lines(text), "|"); got != c.want {
				t.Errorf("%s\nwant %s", strings.ReplaceAll(got, "|", "\n"), strings.ReplaceAll(c.want, "|", "\n"))
			}
			joined := strings.ReplaceAll(text, "\n#   ", " ")
			if !strings.Contains(joined, c.note) {
				t.Errorf("%q is not in:\n%s", c.note, text)
			}
			for _, private := range []string{e.folder, "secret", "/home/"} {
				if strings.Contains(text, private) {
					t.Errorf("a path of this machine or a password is in:\n%s", text)
				}
			}
		})
	}
}

// What `pip install --user` installed is found, and nothing in the current folder is executed.
func TestTheFoldersOfTheUserCountAndTheCurrentOneDoesNot(t *testing.T) {
	e := newEnvironment(t)
	more := filepath.Join(e.folder, "more")
	write(t, 0o644, "Name: a\nVersion: 2.0\n", more, "a-2.0.dist-info", "METADATA")
	t.Setenv("PYTHONPATH", more)
	dir := t.TempDir()
	write(t, 0o644, "raise SystemExit('executed')", dir, "json.py")
	t.Chdir(dir)
	if got := lines(e.resolve("import a").Requirements()); !slices.Equal(got, []string{"a==2.0"}) {
		t.Errorf("%q", got)
	}
}

// The modules of a real environment have the distributions that importlib.metadata names.
func TestOwnersAreThoseOfImportlib(t *testing.T) {
	python := venv.Python(t)
	var want map[string][]string
	out := runPython(t, python, `
import importlib.metadata, json, re, sys
print(json.dumps({module: sorted({re.sub(r"[-_.]+", "-", name).lower() for name in names})
    for module, names in importlib.metadata.packages_distributions().items()
    if module.isidentifier() and module not in sys.stdlib_module_names and not module.startswith("__")}))`)
	if err := json.Unmarshal([]byte(out), &want); err != nil {
		t.Fatal(err)
	}
	s := requirements.Script{}
	for module := range want {
		s.Imports = append(s.Imports, requirements.Import{Module: module, Line: 1})
	}
	set, err := s.Resolve(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	direct := map[string]string{} // of a package the reasons
	for _, p := range set.Packages {
		if p.Direct {
			direct[p.Name] = strings.Join(p.Because, "; ") + ";"
		}
	}
	notes := strings.Join(set.Notes, "\n")
	for module, owners := range want {
		if strings.Contains(notes, "import "+module+", line 1: ") { // a namespace, whose distributions are named
			for _, owner := range owners {
				if !strings.Contains(notes, owner) {
					t.Errorf("%s: %s is not named", module, owner)
				}
			}
			continue
		}
		found := slices.ContainsFunc(owners, func(owner string) bool {
			return strings.Contains(direct[owner], "import "+module+", line 1;")
		})
		if !found {
			t.Errorf("%s: none of %q asks for it", module, owners)
		}
	}
	if len(want) < 100 {
		t.Errorf("%d modules are few", len(want))
	}
}

// The names that are guessed without an interpreter are those that a real environment has.
func TestGuessedNamesAreThoseOfARealEnvironment(t *testing.T) {
	source := "import attr, bs4, dateutil, dotenv, git, grpc, mpl_toolkits, numpy, PIL, pylab, sklearn, websocket\n" +
		"import yaml, zmq, google.auth\nfrom google import protobuf"
	names := func(set *requirements.Set) []string {
		var all []string
		for _, p := range set.Packages {
			if p.Direct {
				all = append(all, p.Name)
			}
		}
		return all
	}
	got, want := names(resolve(t, "", source)), names(resolve(t, venv.Python(t), source))
	if !slices.Equal(got, want) || len(got) < 14 {
		t.Errorf("%q, want %q", got, want)
	}
}
