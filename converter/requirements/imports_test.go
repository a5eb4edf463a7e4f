package requirements_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/test/venv"
)

// short writes imports as "module(names):line?", where the mark is for optional ones.
func short(imports []requirements.Import) string {
	var all []string
	for _, i := range imports {
		text := i.Module
		if len(i.Names) > 0 {
			text += "(" + strings.Join(i.Names, ",") + ")"
		}
		text += fmt.Sprintf(":%d", i.Line)
		if i.Optional {
			text += "?"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestImports(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"plain", "import a\nimport b.c as d, e", "a:1 b.c:2 e:2"},
		{"from", "from a.b import c, d as e\nfrom f import *\nfrom a.b import g", "a.b(c,d,g):1 f:2"},
		{"of several lines", "from a import (\n    b,\n    c,\n)", "a(b,c):1"},
		{"relative", "from . import a\nfrom .b import c\nfrom ..d import e", ""},
		{"the future", "from __future__ import annotations\nimport a", "a:2"},
		{"the first line counts", "import a\n\nimport a", "a:1"},
		{"in a function", "def f():\n    import a\n    class C:\n        from b import c", "a:2 b(c):4"},
		{
			"by a call", "import importlib\nx = importlib.import_module('a.b')\ny = __import__(\"c\")",
			"importlib:1 a.b:2 c:3",
		},
		{"by a call with a value", "importlib.import_module(name)\nimport_module(f'a')", ""},
		{"in a text", "s = '''\nimport a\n'''\n# import b", ""},
		{"optional", "try:\n    import a\nexcept ImportError:\n    a = None", "a:2?"},
		{"of modules", "try:\n    from a import b\nexcept (ModuleNotFoundError, OSError) as e:\n    pass", "a(b):2?"},
		{"with another", "try:\n    import a\nexcept ImportError:\n    import b as a", "a:2? b:4?"},
		{"refused without", "try:\n    import a\nexcept ImportError as e:\n    raise SystemExit('no a') from e", "a:2"},
		{"ended without", "try:\n    import a\nexcept ImportError:\n    print('no a')\n    sys.exit(1)", "a:2"},
		{"installed where missing", "try:\n    import a\nexcept ImportError:\n    install()\n    import a", "a:2"},
		{"with any handler", "try:\n    import a\nexcept:\n    a = None", "a:2?"},
		{"in much else", "try:\n    import a\n    a.run()\nexcept Exception:\n    print('failed')", "a:2"},
		{"with another error", "try:\n    import a\nexcept ValueError:\n    pass", "a:2"},
		{"what follows", "try:\n    import a\nexcept ImportError:\n    pass\nelse:\n    import b", "a:2? b:6"},
		{"both ways", "try:\n    import a\nexcept ImportError:\n    pass\nimport a", "a:2"},
		{"suppressed", "with contextlib.suppress(ImportError):\n    import a", "a:2?"},
		{"in another with", "with open('x') as f:\n    import a", "a:2"},
		{"for a type checker", "if TYPE_CHECKING:\n    import a\nelse:\n    import b", "b:4"},
		{"of typing", "if typing.TYPE_CHECKING:\n    import a\nimport c", "c:3"},
		{
			"by version", "if sys.version_info >= (3, 11):\n    import tomllib\nelse:\n    import tomli as tomllib",
			"tomllib:2? tomli:4?",
		},
		{"by a value", "if debug:\n    import a", "a:2"},
		{"with a syntax error", "import a\nx = = 1\nimport b", "a:1 b:3"},
		{"behind a semicolon", "x = 1; import a", "a:1"},
		{"with blanks", "import a . b", "a.b:1"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			imports, err := requirements.Imports(c.source)
			if got := short(imports); err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// The modules and their first lines in the files of real packages are those that Python's own parser finds.
func TestImportsAreThoseOfPythonsParser(t *testing.T) {
	out := runPython(t, venv.Python(t), `
import ast, glob, importlib.util, json, warnings
warnings.simplefilter("ignore")

def visit(node, found):
    if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
        for inner in node.orelse:
            visit(inner, found)
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            found.append((alias.name, node.lineno))
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module != "__future__":
        found.append((node.module, node.lineno))
    for inner in ast.iter_child_nodes(node):
        visit(inner, found)

for package in "matplotlib", "optuna", "sklearn", "uvicorn", "json":
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    for file in sorted(glob.glob(folder + "/**/*.py", recursive=True))[:120]:
        with open(file, encoding="utf-8") as source:
            text = source.read()
        if "import_module" in text or "__import__" in text:
            continue
        found = []
        visit(ast.parse(text), found)
        first = {}
        for module, line in found:
            first[module] = min(line, first.get(module, line))
        print(json.dumps({"file": file, "source": text, "imports": first}))
`)
	files := 0
	for line := range strings.Lines(out) {
		var want struct {
			File, Source string
			Imports      map[string]int
		}
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		imports, err := requirements.Imports(want.Source)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, i := range imports {
			got[i.Module] = i.Line
		}
		if !maps.Equal(got, want.Imports) {
			t.Errorf("%s: %v, want %v", want.File, got, want.Imports)
		}
		files++
	}
	if files < 200 {
		t.Errorf("%d files are few", files)
	}
}

func FuzzImports(f *testing.F) {
	f.Add("try:\n    import a.b as c\nexcept ImportError:\n    from d import (e, f)\nif TYPE_CHECKING:\n    import g")
	f.Add("with suppress(ImportError): __import__('x')")
	f.Fuzz(func(t *testing.T, source string) {
		imports, err := requirements.Imports(source)
		if err != nil {
			return
		}
		lines := strings.Count(source, "\n") + 1
		for _, i := range imports {
			if i.Module == "" || i.Line < 1 || i.Line > lines {
				t.Errorf("%+v of %d lines", i, lines)
			}
		}
	})
}
