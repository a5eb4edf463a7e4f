package requirements_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/requirements"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
	"github.com/metaml/metaml/test/venv"
)

// scientific is a script with what the environment of the tests has.
const scientific = `import matplotlib.pyplot as plt, mlflow, numpy, optuna, PIL.Image, sklearn.svm, uvicorn, yaml
from google import protobuf
`

// tool runs a program of the environment of the tests, without a network and with a cache of its own.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	return toolIn(t, t.TempDir(), name, args...)
}

// toolIn runs a program of the environment of the tests. It has folders of its own for what it keeps: uv leaves a lock
// for each environment in the folder of temporary files.
func toolIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(venv.Python(t)), name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "UV_CACHE_DIR="+t.TempDir(), "UV_OFFLINE=1", "UV_NO_CONFIG=1",
		"UV_PYTHON="+venv.Python(t), "UV_LINK_MODE=copy", "PIP_DISABLE_PIP_VERSION_CHECK=1",
		"PIP_CONFIG_FILE="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v:\n%s", name, args, err, out)
	}
	return string(out)
}

// wheel makes a wheel that a folder has in place of an index.
func wheel(t *testing.T, folder, name, code string, requires ...string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	runPython(t, venv.Python(t), `
import sys, zipfile
folder, name, code, *requires = sys.argv[1:]
about = f"{name}-1.0.dist-info"
with zipfile.ZipFile(f"{folder}/{name}-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", code)
    head = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", *(f"Requires-Dist: {text}" for text in requires)]
    wheel.writestr(f"{about}/METADATA", "\n".join(head) + "\n")
    wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{about}/RECORD", "".join(f"{file},,\n" for file in wheel.namelist()) + f"{about}/RECORD,,\n")
`, append([]string{folder, name, code}, requires...)...)
}

func TestPipAndUvFindAllOfRequirementsInstalled(t *testing.T) {
	set := resolve(t, venv.Python(t), scientific, pip(`-q "uvicorn[standard]>=0.1"`))
	file := write(t, 0o644, set.Requirements(), t.TempDir(), "requirements.txt")
	said := tool(t, "pip", "install", "--dry-run", "--no-index", "-r", file)
	if got, want := strings.Count(said, "already satisfied"), len(set.Packages); got < want {
		t.Errorf("pip finds %d of %d:\n%s", got, want, said)
	}
	said = tool(t, "uv", "pip", "install", "--dry-run", "--no-deps", "--python", venv.Python(t), "-r", file)
	if !strings.Contains(said, fmt.Sprintf("Checked %d packages", len(set.Packages))) ||
		!strings.Contains(said, "Would make no changes") {
		t.Errorf("uv says of %d packages:\n%s", len(set.Packages), said)
	}
}

// The closure is what importlib.metadata and packaging find, and every marker holds here.
func TestTheClosureIsWhatPackagingFinds(t *testing.T) {
	python := venv.Python(t)
	set := resolve(t, python, scientific)
	var roots []string
	got, markers := map[string]string{}, map[string]string{}
	for _, p := range set.Packages {
		got[p.Name] = p.Version
		if p.Direct {
			roots = append(roots, p.Name)
		}
		if p.Marker != "" {
			markers[p.Name] = p.Marker
		}
	}
	text, err := json.Marshal(markers)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	out := runPython(t, python, `
import json, sys
from importlib.metadata import PackageNotFoundError, distribution
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
for name, marker in json.loads(sys.argv[1]).items():
    assert Marker(marker).evaluate(), (name, marker)
found, waiting, seen = {}, [(name, "") for name in sys.argv[2:]], set()
while waiting:
    name, extra = waiting.pop()
    if (name, extra) in seen:
        continue
    seen.add((name, extra))
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        continue
    found[canonicalize_name(name)] = dist.version
    for requirement in map(Requirement, dist.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            waiting += [(requirement.name, extra) for extra in {"", *requirement.extras}]
print(json.dumps(found))`, append([]string{string(text)}, roots...)...)
	if err := json.Unmarshal([]byte(out), &want); err != nil {
		t.Fatal(err)
	}
	for name, version := range want {
		if got[name] != version {
			t.Errorf("%s %q, want %q", name, got[name], version)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d packages, want %d", len(got), len(want))
	}
}

// checkPylock prints what packaging makes of pylock.toml: its verdict, and which packages an installer would take. With
// a second argument, each package without a file gets one, as a resolver adds it.
const checkPylock = `
import json, sys
try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib
from packaging.pylock import Pylock, PylockValidationError
with open(sys.argv[1], "rb") as file:
    lock = tomllib.load(file)
assert lock["lock-version"] == "1.0" and lock["created-by"] == "metaml-nbconvert", lock
for package in lock["packages"] if sys.argv[2:] else ():
    if not {"vcs", "directory", "archive"} & package.keys():
        name = f"{package['name'].replace('-', '_')}-{package['version']}-py3-none-any.whl"
        package["wheels"] = [{"url": f"https://x.org/{name}", "hashes": {"sha256": "0" * 64}}]
try:
    read = Pylock.from_dict(lock)
except PylockValidationError as error:
    print(error)
else:
    print(json.dumps(sorted(package.name for package, _ in read.select())))
`

func TestPylockIsValidAndForThisEnvironment(t *testing.T) {
	python := venv.Python(t)
	set := resolve(t, python, scientific)
	text, err := set.Pylock("")
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, 0o644, string(text), t.TempDir(), "pylock.toml")
	var got, want []string
	if err := json.Unmarshal([]byte(runPython(t, python, checkPylock, file, "with files")), &got); err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Packages {
		want = append(want, p.Name)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("an installer takes %q, want %q", got, want)
	}
	// What comes from an index has no file, and a lock without files is refused: the head of the file says so.
	if got := runPython(t, python, checkPylock, file); !strings.Contains(got, "if sdist and wheels are not set") {
		t.Errorf("packaging says %q of a lock without files", got)
	}
	if without := set.WithoutFiles(); len(without) != len(want) || !strings.Contains(string(text), "uv pip compile") {
		t.Errorf("%d of %d packages are without a file", len(without), len(want))
	}
}

func TestPylockOfSources(t *testing.T) {
	e := newEnvironment(t)
	commit := strings.Repeat("0123456789", 4)
	digest := strings.Repeat("ab", 32)
	lay := func(name, direct string) {
		e.install(name, nil, map[string]string{name + ".py": "", "+direct_url.json": direct})
	}
	lay("vcs", `{"url": "https://x.org/vcs", "subdirectory": "py",
		"vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "`+commit+`"}}`)
	lay("there", `{"url": "https://x.org/there-1.0-py3-none-any.whl",
		"archive_info": {"hashes": {"sha256": "`+digest+`"}}}`)
	lay("here", `{"url": "file://`+e.folder+`/w/here-1.0-py3-none-any.whl",
		"archive_info": {"hash": "sha256=`+digest+`"}}`)
	lay("edited", `{"url": "file://`+e.folder+`/src/my%20edited", "dir_info": {"editable": true}}`)
	e.install("whole", []string{
		"Requires-Python: >=3.8, <4", "Requires-Dist: vcs", "Requires-Dist: there; sys_platform != 'win32'",
		"Requires-Dist: edited", "Requires-Dist: here",
	}, map[string]string{
		"whole.py": "",
		"+direct_url.json": `{"url": "https://x.org/whole.zip",
			"archive_info": {"hashes": {"sha256": "` + digest + `"}}}`,
	})
	set := e.resolve("import whole")
	text, err := set.Pylock(filepath.Join(e.folder, "notebooks"))
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(text), "created-by = 'metaml-nbconvert'\n\n")
	want := `[[packages]]
name = 'edited'

[packages.directory]
path = '../src/my edited'
editable = true

[[packages]]
name = 'here'
version = '1.0'

[packages.archive]
path = '../w/here-1.0-py3-none-any.whl'
hashes = {sha256 = '` + digest + `'}

[[packages]]
name = 'there'
version = '1.0'
marker = 'sys_platform != "win32"'

[packages.archive]
url = 'https://x.org/there-1.0-py3-none-any.whl'
hashes = {sha256 = '` + digest + `'}

[[packages]]
name = 'vcs'

[packages.vcs]
type = 'git'
url = 'https://x.org/vcs'
requested-revision = 'main'
commit-id = '` + commit + `'
subdirectory = 'py'

[[packages]]
name = 'whole'
version = '1.0'
requires-python = '>=3.8,<4'
dependencies = [{name = 'edited'}, {name = 'here'}, {name = 'there'}, {name = 'vcs'}]

[packages.archive]
url = 'https://x.org/whole.zip'
hashes = {sha256 = '` + digest + `'}
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	file := write(t, 0o644, string(text), t.TempDir(), "pylock.toml")
	said := runPython(t, venv.Python(t), checkPylock, file)
	if said != `["edited", "here", "there", "vcs", "whole"]` || set.WithoutFiles() != nil {
		t.Errorf("packaging says %s; without files are %q", said, set.WithoutFiles())
	}
}

func TestPylockNeedsAnInterpreter(t *testing.T) {
	_, err := alone(t, requirements.Script{Imports: []requirements.Import{{Module: "numpy"}}}).Pylock("")
	if err == nil || !strings.Contains(err.Error(), "--python PATH") {
		t.Errorf("%v", err)
	}
}

// The command that pylock.toml names adds the files to it.
func TestUvAddsTheFilesToPylock(t *testing.T) {
	e := newEnvironment(t)
	e.install("outer", []string{"Requires-Dist: inner"}, one("outer.py"))
	e.install("inner", nil, one("inner.py"))
	dir := t.TempDir()
	wheel(t, filepath.Join(dir, "wheels"), "outer", "", "inner")
	wheel(t, filepath.Join(dir, "wheels"), "inner", "")
	set := e.resolve("import outer")
	write(t, 0o644, set.Requirements(), dir, "requirements.txt")
	toolIn(t, dir, "uv", "pip", "compile", "--no-deps", "requirements.txt", "-o", "pylock.toml",
		"--no-index", "--find-links", "wheels")
	said := runPython(t, venv.Python(t), strings.ReplaceAll(checkPylock, `"metaml-nbconvert"`, `"uv"`),
		filepath.Join(dir, "pylock.toml"))
	if said != `["inner", "outer"]` {
		t.Errorf("packaging says %s", said)
	}
}

// readInline is PEP 723's own reference implementation, with what the block says as JSON.
const readInline = `
import json, re, sys
try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib
REGEX = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
script = sys.stdin.read() if len(sys.argv) == 1 else open(sys.argv[1]).read()
matches = [m for m in re.finditer(REGEX, script) if m.group("type") == "script"]
assert len(matches) == 1, matches
content = "".join(
    line[2:] if line.startswith("# ") else line[1:] for line in matches[0].group("content").splitlines(keepends=True)
)
print(json.dumps(tomllib.loads(content), sort_keys=True))
`

func block(t *testing.T, set *requirements.Set, folder string) string {
	t.Helper()
	text, err := set.Inline(folder)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestInlineMetadataIsReadAsThePEPDoes(t *testing.T) {
	python := venv.Python(t)
	minor := runPython(t, python, "import sys; print('%d.%d' % sys.version_info[:2])")
	e := newEnvironment(t)
	e.install("a", []string{"Requires-Dist: b", "Requires-Dist: edited"}, one("a.py"))
	e.install("b", nil, one("b.py"))
	e.install("edited", nil, map[string]string{
		"edited.py":        "",
		"+direct_url.json": `{"url": "file://` + e.folder + `/src/edited", "dir_info": {"editable": true}}`,
	})
	e.install("vcs", nil, map[string]string{
		"vcs.py":           "",
		"+direct_url.json": `{"url": "https://x.org/vcs", "vcs_info": {"vcs": "git", "commit_id": "0a"}}`,
	})
	for _, c := range []struct {
		name string
		set  *requirements.Set
		want string
	}{
		{"nothing", e.resolve("import os"), `{"dependencies": [], "requires-python": "==MINOR.*"}`},
		{"nothing known", alone(t, requirements.Script{}), `{"dependencies": []}`},
		{
			"the notebook's Python", alone(t, requirements.Script{
				Imports: []requirements.Import{{Module: "sklearn"}}, Python: "3.10.12",
			}), `{"dependencies": ["scikit-learn"], "requires-python": ">=3.10"}`,
		},
		{
			"what a script asks for and what no index has", e.resolve("import a, vcs"),
			`{"dependencies": ["a==1.0", "vcs @ git+https://x.org/vcs@0a", "edited"], ` +
				`"requires-python": "==MINOR.*", ` +
				`"tool": {"uv": {"sources": {"edited": {"editable": true, "path": "../src/edited"}}}}}`,
		},
		{
			"an index",
			e.resolve("import a", pip("b --index-url https://me:secret@x.org/simple"), pip("c -i https://y.org/s")),
			`{"dependencies": ["a==1.0", "b==1.0", "c", "edited"], "requires-python": "==MINOR.*", "tool": {"uv": {` +
				`"index": [{"explicit": true, "name": "index-1", "url": "https://x.org/simple"}, ` +
				`{"explicit": true, "name": "index-2", "url": "https://y.org/s"}], ` +
				`"sources": {"b": {"index": "index-1"}, "c": {"index": "index-2"}, ` +
				`"edited": {"editable": true, "path": "../src/edited"}}}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := block(t, c.set, filepath.Join(e.folder, "notebooks")) + "\nimport os\n"
			got := runPython(t, python, readInline, write(t, 0o644, script, t.TempDir(), "script.py"))
			if want := strings.ReplaceAll(c.want, "MINOR", minor); got != want {
				t.Errorf("got  %s\nwant %s\nof\n%s", got, want, script)
			}
		})
	}
}

func TestUvRunsAScriptAtOnce(t *testing.T) {
	e := newEnvironment(t)
	e.install("outer", []string{"Requires-Dist: inner"}, one("outer.py"))
	e.install("inner", nil, one("inner.py"))
	dir := t.TempDir()
	wheels := filepath.Join(dir, "wheels")
	wheel(t, wheels, "outer", "from inner import text", "inner")
	wheel(t, wheels, "inner", "text = 'it runs'")
	for _, c := range []struct{ name, code, want string }{
		{"of the standard library", "import json\nprint(json.dumps('it runs'))\n", `"it runs"`},
		{"with a package", "import outer\nprint(outer.text)\n", "it runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := write(t, 0o644, block(t, e.resolve(c.code), dir)+"\n"+c.code, dir, "script.py")
			said := toolIn(t, dir, "uv", "run", "--no-project", "--no-index", "--find-links", wheels, script)
			if !strings.HasSuffix(strings.TrimSpace(said), c.want) {
				t.Errorf("uv says:\n%s", said)
			}
		})
	}
}

func TestHeadsSayFromWhatTheyAreMade(t *testing.T) {
	python := venv.Python(t)
	version := runPython(t, python, "import platform; print(platform.python_version())")
	set := resolve(t, python, "import numpy")
	text, err := set.Pylock("")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"requirements.txt": set.Requirements(), "pylock.toml": string(text)} {
		t.Run(name, func(t *testing.T) {
			first, _, _ := strings.Cut(text, "\n")
			if !strings.HasPrefix(first, "# Made by metaml-nbconvert from what CPython "+version+" on ") {
				t.Errorf("it begins with %q", first)
			}
			if strings.Contains(text, filepath.Dir(python)) {
				t.Errorf("the path of the interpreter is in:\n%s", text)
			}
		})
	}
	text2 := alone(t, requirements.Script{Imports: []requirements.Import{{Module: "numpy", Line: 1}}}).Requirements()
	if !strings.Contains(text2, "No interpreter was asked") {
		t.Errorf("it is not said that no interpreter was asked:\n%s", text2)
	}
}

// What is sent to an interpreter may meet an older one than metaml runs on.
func TestWhatIsSentIsPythonOf39(t *testing.T) {
	args, stdin, err := pymodule.AskEnvironment(map[string]any{"imports": []any{}, "asked": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), venv.Python(t), "-c", `
import ast, json, sys
sources = json.load(sys.stdin)["modules"] + [["-c", sys.argv[1]]]
for name, source in sources:
    tree = ast.parse(source, name, feature_version=(3, 9))
    assert "stdlib_module_names" not in source, name + ": Python 3.10 brought it"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match), name
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or node.names[0].name
            assert module.partition(".")[0] in sys.stdlib_module_names or module.startswith("metaml._session."), module
print(len(sources))`, args[len(args)-1])
	cmd.Stdin = strings.NewReader(string(stdin))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "5" {
		t.Errorf("%v:\n%s", err, out)
	}
}

// One start of the interpreter is what it costs.
func BenchmarkResolve(b *testing.B) {
	imports, err := requirements.Imports(scientific)
	if err != nil {
		b.Fatal(err)
	}
	s := requirements.Script{Imports: imports}
	for b.Loop() {
		if _, err := s.Resolve(context.Background(), venv.Python(b)); err != nil {
			b.Fatal(err)
		}
	}
}
