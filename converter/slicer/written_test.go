package slicer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// savedIn makes the document of a saved notebook in a folder.
func savedIn(dir, cells string) *session.Document {
	doc := live(cells)
	doc.Kind, doc.Cwd = session.Saved, dir
	for i := range doc.Cells {
		doc.Cells[i].OK = nil
	}
	return doc
}

func TestFoldersAreMade(t *testing.T) {
	const suppress = `with __import__("contextlib").suppress(FileExistsError): `
	for _, c := range []struct{ name, cells, want string }{
		{
			"of a name", "from pathlib import Path\nCKPT = Path('ckpt')\nCKPT.mkdir(exist_ok=True)\n---\n" +
				"def f(): return 1",
			"from pathlib import Path\nCKPT = Path('ckpt')\nCKPT.mkdir(exist_ok=True)",
		},
		{
			"with its parents", "from pathlib import Path\nPath('a/b').mkdir(parents=True, exist_ok=True)\n---\n" +
				"def f(): return 1",
			"from pathlib import Path\nPath('a/b').mkdir(parents=True, exist_ok=True)",
		},
		{
			"one that is there", "import pathlib\npathlib.Path('a').mkdir()  # once\n---\ndef f(): return 1",
			"import pathlib\n" + suppress + "pathlib.Path('a').mkdir()  # once",
		},
		{
			"os.mkdir and os.makedirs", "import os\nos.mkdir('a')\nos.makedirs('b')\n" +
				"os.makedirs('c', exist_ok=True)\n---\n" +
				"def f(): return 1",
			"import os\n" + suppress + "os.mkdir('a')\n" + suppress + "os.makedirs('b')\n" +
				"os.makedirs('c', exist_ok=True)",
		},
		{
			"two in a line", "import os\nos.mkdir('a'); os.mkdir('b')\n---\ndef f(): return 1",
			"import os\n" + suppress + "os.mkdir('a')\n" + suppress + "os.mkdir('b')",
		},
		{
			"of an expression", "from pathlib import Path\nDATA = Path('data')\n" +
				"(DATA / 'raw').mkdir(exist_ok=True)\n---\n" +
				"def f(): return 1",
			"from pathlib import Path\nDATA = Path('data')\n(DATA / 'raw').mkdir(exist_ok=True)",
		},
		{
			"of what a function gives", "from pathlib import Path\ndef root(): return Path('data')\n" +
				"root().mkdir()\n---\n" +
				"def f(): return 1",
			"from pathlib import Path\ndef root(): return Path('data')\n" + suppress + "root().mkdir()",
		},
		{
			"by a function", "from pathlib import Path\ndef ensure(p):\n    p.mkdir(parents=True, exist_ok=True)\n" +
				"    return p\n" +
				"ensure(Path('a'))\n---\ndef f(): return 1",
			"from pathlib import Path\ndef ensure(p):\n    p.mkdir(parents=True, exist_ok=True)\n    return p\n" +
				"ensure(Path('a'))",
		},
		{
			"in a loop", "from pathlib import Path\nfor d in ('a', 'b'):\n    p = Path(d)\n    p.mkdir()\n" +
				"    (p / 'c').touch()\n" +
				"---\ndef f(): return 1",
			"from pathlib import Path\nfor d in ('a', 'b'):\n    p = Path(d)\n    " + suppress +
				"p.mkdir()\n    (p / 'c').touch()",
		},
		{
			"behind a condition", "import os\nif not os.path.exists('a'): os.mkdir('a')\n---\ndef f(): return 1",
			"import os\nif not os.path.exists('a'): os.mkdir('a')",
		},
		{
			"elsewhere", "from lib import bucket\nbucket.mkdir('a')\n---\ndef f(): return 1", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := c.cells[strings.LastIndex(c.cells, "\n---\n")+len("\n---\n"):]
			wantText(t, texts(of(t, live(c.cells), Options{})), strings.TrimPrefix(c.want+"\n"+last, "\n"))
			wantText(t, texts(of(t, savedIn(t.TempDir(), c.cells), Options{})),
				strings.TrimPrefix(strings.ReplaceAll(c.want, suppress, "")+"\n"+last, "\n"))
		})
	}
}

// writesFiles are saved notebooks whose last cell has the entry f. The file there.txt is beside them.
var writesFiles = []struct{ name, cells, want string }{
	{
		"a module", "%%writefile helpers.py\ndef seven(): return 7\n---\nfrom helpers import seven\n---\n" +
			"%%train\ndef f(): return seven()",
		"__import__('pathlib').Path('helpers.py').write_text('def seven(): return 7\\n', encoding='utf-8')\n" +
			"from helpers import seven",
	},
	{
		"a module that imports another", "%%writefile one.py\nimport two\n---\n%%file two.py\nx = 1\n---\n" +
			"import one\n---\n" +
			"%%train\ndef f(): return one",
		"__import__('pathlib').Path('one.py').write_text('import two\\n', encoding='utf-8')\n" +
			"__import__('pathlib').Path('two.py').write_text('x = 1\\n', encoding='utf-8')\nimport one",
	},
	{
		"a module in two parts", "%%writefile one.py\nx = 1\n---\n%%writefile -a one.py\ny = 2\n---\n" +
			"%%train\ndef f():\n    import one\n    return one.y",
		"__import__('pathlib').Path('one.py').write_text('x = 1\\n', encoding='utf-8')\n" +
			"__import__('pathlib').Path('one.py').open('a', encoding='utf-8').write('y = 2\\n')",
	},
	{
		"a package", "import os\nos.makedirs('pkg', exist_ok=True)\n---\n%%writefile pkg/__init__.py\n\n---\n" +
			"%%writefile pkg/one.py\nx = 1\n---\nfrom pkg.one import x\n---\n%%train\ndef f(): return x",
		"import os\nos.makedirs('pkg', exist_ok=True)\n" +
			"__import__('pathlib').Path('pkg/__init__.py').write_text('\\n', encoding='utf-8')\n" +
			"__import__('pathlib').Path('pkg/one.py').write_text('x = 1\\n', encoding='utf-8')\nfrom pkg.one import x",
	},
	{
		"a file that is read", "%%writefile config.yaml\na: 1\n---\n%%train\n" +
			"def f(): return open('./config.yaml').read()",
		"__import__('pathlib').Path('config.yaml').write_text('a: 1\\n', encoding='utf-8')",
	},
	{
		"a file that nobody reads", "%%writefile notes.txt\na\n---\n%%train\ndef f(): return 1", "",
	},
	{
		"write_text", "from pathlib import Path\nPath('a.txt').write_text('x.txt')\n" +
			"Path('x.txt').write_text('y')\n---\n" +
			"%%train\ndef f(): return open('a.txt').read()",
		"from pathlib import Path\nPath('a.txt').write_text('x.txt')",
	},
	{
		"by a name", "from pathlib import Path\nP = Path('a.txt')\nP.write_text('x')\n---\n%%train\n" +
			"def f(): return P.read_text()",
		"from pathlib import Path\nP = Path('a.txt')\nP.write_text('x')",
	},
	{
		"by the name of a text", "P = 'a.csv'\nimport pandas as pd\npd.DataFrame().to_csv(P)\n---\n" +
			"%%train\ndef f(): return pd.read_csv(P)",
		"P = 'a.csv'\nimport pandas as pd\npd.DataFrame().to_csv(P)",
	},
	{
		"with open", "with open('a.json', 'w') as g:\n    g.write('{}')\n---\n%%train\n" +
			"def f(): return open('a.json').read()",
		"with open('a.json', 'w') as g:\n    g.write('{}')",
	},
	{
		"a copy", "import shutil\nshutil.copy('there.txt', 'a.txt')\n---\n%%train\n" +
			"def f(): return open('a.txt').read()",
		"import shutil\nshutil.copy('there.txt', 'a.txt')",
	},
	{
		"a table", "import pandas as pd\npd.DataFrame({'a': [1]}).to_csv('data/a.csv')\n---\n" +
			"%%train\ndef f(): return pd.read_csv('data/a.csv')",
		"import pandas as pd\npd.DataFrame({'a': [1]}).to_csv('data/a.csv')",
	},
	{
		"an archive", "import zipfile\nzipfile.ZipFile('there.zip').extractall('data')\n---\n" +
			"%%train\ndef f(): return open('data/a.csv').read()",
		"import zipfile\nzipfile.ZipFile('there.zip').extractall('data')",
	},
	{
		"what is there", "import shutil\nshutil.copy('x', 'there.txt')\n---\n%%train\n" +
			"def f(): return open('there.txt').read()",
		"",
	},
	{
		"what is only written", "import torch, numpy as np\nnp.save('a.npy', [1])\n---\n" +
			"%%train\ndef f(): return np.ones(1)", "import torch, numpy as np",
	},
}

func TestASavedNotebookWritesTheFilesThatItReads(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range writesFiles {
		t.Run(c.name, func(t *testing.T) {
			last := c.cells[strings.LastIndex(c.cells, "\n%%train\n")+len("\n%%train\n"):]
			s := of(t, savedIn(dir, c.cells), Options{})
			wantText(t, texts(s), strings.TrimPrefix(c.want+"\n"+last, "\n"))
			if n := notes(s); n != "" {
				t.Errorf("noted: %s", n)
			}
		})
	}
}

func TestTheTextOfAWrittenModuleComesAlong(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "one.py"), []byte("old = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := of(t, savedIn(dir, "%%writefile one.py\nimport two\n---\n%%writefile two.py\nx = 'a\\n'\n---\n"+
		"%%writefile -a two.py\ny = \"'\"\n---\nimport one, three\n---\n%%train\ndef f(): return one"), Options{})
	got := map[string]string{}
	for _, m := range s.Modules {
		code, err := m.Code()
		if err != nil {
			t.Fatal(err)
		}
		got[m.Name] = string(code)
	}
	if len(got) != 2 || got["one"] != "import two\n" || got["two"] != "x = 'a\\n'\ny = \"'\"\n" {
		t.Errorf("modules: %q", got)
	}
	wantText(t, strings.Join(s.Imports, " "), "three")
}

func TestCommandsWhoseFilesAreMissingAreNoted(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{
			"git clone and %cd", "!git clone -q https://example.org/a/repo.git\n%cd repo\n---\nimport mod\n---\n" +
				"%%train\ndef f(): return mod",
			"!git clone -q https://example.org/a/repo.git was left out (cell 1, line 1), since what a command " +
				"does cannot be " +
				"seen, and cell 1, line 2 names repo (cell 1, line 2), which is not there",
		},
		{
			"git clone and sys.path", "import sys\n!git clone https://example.org/a/repo\n" +
				"sys.path.append('repo/src')\n---\n" +
				"%%train\ndef f(): return 1",
			"!git clone https://example.org/a/repo was left out (cell 1, line 2), since what a command does " +
				"cannot be " +
				"seen, and cell 1, line 3 names repo/src (cell 1, line 3), which is not there",
		},
		{
			"wget", "!wget -q 'https://example.org/d/a.csv?raw=1'\n---\n%%train\ndef f():\n    return open('a.csv')",
			"!wget -q 'https://example.org/d/a.csv?raw=1' was left out (cell 1, line 1), since what a command " +
				"does cannot " +
				"be seen, and f names a.csv (cell 2, line 3), which is not there",
		},
		{
			"a script", "%%bash\nset -e\ncurl -o b.csv https://example.org/a\n---\n%%train\ndef f():\n" +
				"    return open('b.csv')",
			"!curl -o b.csv https://example.org/a was left out (cell 1, line 3), since what a command does cannot " +
				"be seen, " +
				"and f names b.csv (cell 2, line 3), which is not there",
		},
		{
			"unzip into a folder", "!unzip -q a.zip -d data\n---\n%%train\ndef f():\n    return open('data/x.csv')",
			"!unzip -q a.zip -d data was left out (cell 1, line 1), since what a command does cannot be seen, and " +
				"f names " +
				"data/x.csv (cell 2, line 3), which is not there",
		},
		{
			"unzip here", "!unzip -q a.zip\n---\n%%train\ndef f():\n    return open('x.csv')",
			"!unzip -q a.zip was left out (cell 1, line 1), since what a command does cannot be seen, and f names " +
				"x.csv (cell 2, line 3), which is not there",
		},
		{
			"a magic", "%cp x.csv out\n---\n%%train\ndef f():\n    return open('out/x.csv')",
			"!cp x.csv out was left out (cell 1, line 1), since what a command does cannot be seen, and f names " +
				"out/x.csv " +
				"(cell 2, line 3), which is not there",
		},
		{"a folder", "!mkdir -p out\n---\n%%train\ndef f():\n    return open('out/x.csv', 'w')", ""},
		{"what is there", "!touch there.txt\n---\n%%train\ndef f():\n    return open('there.txt')", ""},
		{"another file", "!wget https://example.org/a.csv\n---\n%%train\ndef f():\n    return open('b')", ""},
		{"installing", "!pip install a.whl\n---\n%%train\ndef f():\n    return 'a.whl'", ""},
		{"one that is kept", "x = !cat a.csv\n---\n%%train\ndef f():\n    return x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "there.txt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			wantText(t, notes(of(t, savedIn(dir, c.cells), Options{})), c.want)
			doc := savedIn(dir, c.cells)
			doc.Kind = session.Live // everything was executed
			for i := range doc.Cells {
				ok := true
				doc.Cells[i].OK = &ok
			}
			wantText(t, notes(of(t, doc, Options{})), "")
		})
	}
}
