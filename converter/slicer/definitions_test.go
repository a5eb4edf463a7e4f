package slicer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// training writes a training program, of which `train` is the entry, and gives its code folder.
func training(t *testing.T, main string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	files = append(files, "program.json", `{"v": 1, "entry": "train"}`, "main.py",
		main+"\n\n\nif __name__ == \"__main__\":\n    train()\n")
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDefinitions: what of a training program comes along into a server, and where it stands. The server's function is
// f.
func TestDefinitions(t *testing.T) {
	for _, c := range []struct{ name, training, cells, want, notes string }{
		{
			"classes and what they need, not the data",
			"import numpy as np\nimport pandas as pd\nK = 3\ndata = pd.read_csv('big.csv')\ndef relu(x): return " +
				"np.maximum(x, 0)\nclass Base: pass\nclass Net(Base):\n    def run(self, x): return relu(x) * K\ndef " +
				"train(): return Net().run(data)",
			"def f(x): return x",
			"import numpy as np\nK = 3\ndef relu(x): return np.maximum(x, 0)\nclass Base: pass\nclass Net(Base):\n   " +
				" def run(self, x): return relu(x) * K\ndef f(x): return x", "",
		},
		{
			"functions whose needs are cheap",
			"import re\nWORD = re.compile('a+')\ndata = open('x').read()\ndef clean(s): return WORD.sub('', s)\ndef " +
				"look(): return len(data)\ndef dashes(): return '-'\ndef train(): return map(clean, data), [look], " +
				"dashes()",
			"def f(x): return x",
			"import re\nWORD = re.compile('a+')\ndef clean(s): return WORD.sub('', s)\ndef f(x): return x", "",
		},
		{
			"a class that needs data keeps it, with a note",
			"import json\nwords = json.load(open('words.json'))\nclass Net:\n    size = len(words)\ndef train(): " +
				"return Net()",
			"def f(x): return x",
			"import json\nwords = json.load(open('words.json'))\nclass Net:\n    size = len(words)\ndef f(x): return x",
			"the model's class Net uses words of the training program, so the server makes that too",
		},
		{
			"the server's own stays",
			"import numpy as np\nclass Net:\n    def run(self): return scale(np.ones(1))\ndef scale(x): return x * " +
				"2\nclass Other: pass\ndef train(): return Net()",
			"import numpy as np\n---\ndef scale(x): return x * 2\n---\nnet = np.load('m')\n---\ndef f(x): return " +
				"scale(net)",
			"import numpy as np\nclass Net:\n    def run(self): return scale(np.ones(1))\nclass Other: pass\ndef " +
				"scale(x): return x * 2\nnet = np.load('m')\ndef f(x): return scale(net)", "",
		},
		{
			"a class that was changed since", "class Net:\n    def run(self): return 1\ndef train(): return Net()",
			"class Net:\n    # now better\n    def run(self): return 2\n---\ndef f(x): return Net()",
			"class Net:\n    # now better\n    def run(self): return 2\ndef f(x): return Net()",
			"Net changed since the training; the server takes what the notebook has now",
		},
		{
			"a class behind its base, which is the server's",
			"class Base: pass\nclass Net(Base): pass\nclass Deep(Net): pass\nclass Apart: pass\ndef train(): return " +
				"Net()",
			"import pickle\n---\nclass Base: pass\n---\nmodel = pickle.load(open('m', 'rb'))\n---\ndef f(x): return " +
				"isinstance(model, Base)",
			"import pickle\nclass Apart: pass\nclass Base: pass\nclass Net(Base): pass\nclass Deep(Net): pass\nmodel " +
				"= pickle.load(open('m', 'rb'))\ndef f(x): return isinstance(model, Base)", "",
		},
		{
			"classes that calls make",
			"from collections import namedtuple\nimport enum\nPoint = namedtuple('Point', 'x y')\nMode = " +
				"enum.Enum('Mode', 'a b')\npoint = Point(1, 2)\ndef train(): return point",
			"def f(x): return x",
			"from collections import namedtuple\nimport enum\nPoint = namedtuple('Point', 'x y')\nMode = " +
				"enum.Enum('Mode', 'a b')\ndef f(x): return x", "",
		},
		{
			"a method that was put into a class",
			"class Net: pass\ndef run(self): return 1\nNet.run = run\nnet = Net()\nnet.x = 1\ndef train(): return net",
			"def f(x): return x", "class Net: pass\ndef run(self): return 1\nNet.run = run\ndef f(x): return x", "",
		},
		{
			"what changes a class of the server's is not repeated",
			"class Net: pass\ndef run(self): return 1\nNet.run = run\ndef train(): return Net()",
			"class Net: pass\n---\ndef f(x): return Net()",
			"def run(self): return 1\nclass Net: pass\ndef f(x): return Net()", "",
		},
		{
			"the future holds",
			"from __future__ import annotations\nclass Net:\n    def next(self) -> Net: return self\ndef train(): " +
				"return Net()",
			"import os\n---\ndef f(x): return os",
			"from __future__ import annotations\nimport os\nclass Net:\n    def next(self) -> Net: return self\ndef " +
				"f(x): return os", "",
		},
		{
			"import *", "from lib import *\nclass Net(Module): pass\ndef train(): return Net()", "def f(x): return x",
			"from lib import *\nclass Net(Module): pass\ndef f(x): return x", "",
		},
		{
			"no settings, no seeds",
			"import os, random\nrandom.seed(1)\nos.chdir('/')\nclass Net:\n    def run(self): return " +
				"random.random(), os\ndef train(): return Net()", "def f(x): return x",
			"import os, random\nclass Net:\n    def run(self): return random.random(), os\ndef f(x): return x", "",
		},
		{"nothing to bring", "x = 1\ndef train(): return x", "def f(x): return x", "def f(x): return x", ""},
		{
			"not Python", "class Net:\n    def (: pass", "def f(x): return x", "def f(x): return x",
			"the classes from line 1 of the training program on do not come along: its Python is too new to be read",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Of(t.Context(), live(c.cells), Options{Definitions: training(t, c.training)})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				return
			}
			if got := strings.TrimSpace(texts(s)); got != c.want {
				t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
			}
			var notes []string
			for _, n := range s.Notes {
				notes = append(notes, n.Text)
			}
			if got := strings.Join(notes, "\n"); got != c.notes {
				t.Errorf("%s: notes %q, want %q", c.name, got, c.notes)
			}
		})
	}
}

// Where nobody has the code of the training any more, the server may well do without.
func TestATrainingWhoseCodeIsGoneBringsNothing(t *testing.T) {
	s, err := Of(t.Context(), live("def f(x): return x"), Options{Definitions: filepath.Join(t.TempDir(), "gone")})
	if err != nil {
		t.Fatal(err)
	}
	const want = "the classes of the training program do not come along: its code is not on this machine"
	if len(s.Notes) != 1 || s.Notes[0].Text != want || !strings.Contains(s.Notes[0].Hint, "define them") {
		t.Errorf("the notes are %+v", s.Notes)
	}
}

// TestDefinitionsBringTheirFiles: local modules of the training program, and values that --with shipped to it.
func TestDefinitionsBringTheirFiles(t *testing.T) {
	with := "with open(__import__(\"os\").path.join(__import__(\"os\").path.dirname(__import__(\"os\").path." +
		"abspath(__file__)), \"with\", \"words.pickle\"), \"rb\") as words:\n" +
		"    words = __import__(\"pickle\").load(words)"
	dir := training(t,
		with+"\nfrom layers import Dense\nimport helpers\nimport torch\nclass Net:\n    def run(self): return words, "+
			"helpers\ndef train(): return Net(), Dense, torch",
		"layers.py", "import base\nclass Dense(base.Layer): pass\n", "base.py", "class Layer: pass\n",
		"helpers.py", "import json\n", "with/words.pickle", "value", "with/other.pickle", "value")
	s, err := Of(t.Context(), live("def f(x): return x"), Options{Definitions: dir})
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, m := range s.Modules {
		modules = append(modules, m.Name)
	}
	if want := []string{"base", "helpers", "layers"}; !slices.Equal(modules, want) {
		t.Errorf("modules %v, want %v", modules, want)
	}
	if len(s.Carried) != 1 || s.Carried["words"] != filepath.Join(dir, "with", "words.pickle") {
		t.Errorf("values: %v", s.Carried)
	}
	if want := []string{"json"}; !slices.Equal(s.Imports, want) {
		t.Errorf("imports %v, want %v", s.Imports, want)
	}
	if want := "ran from cell 1 · 1 line, and 5 of the model's program"; s.Summary() != want {
		t.Errorf("%s, want %s", s.Summary(), want)
	}
	if got := s.Explain(); !strings.Contains(got, "model, line 6 ") || !strings.Contains(got, "the model's pickles") {
		t.Errorf("explained:\n%s", got)
	}
	if _, err := Of(t.Context(), live("def f(x): return x"), Options{Definitions: t.TempDir()}); err == nil ||
		!strings.Contains(err.Error(), "read the training program") {
		t.Errorf("a folder without a program: %v", err)
	}
}
