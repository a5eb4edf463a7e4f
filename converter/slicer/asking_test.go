package slicer

import (
	"context"
	"strings"
	"testing"
)

// Variables that are set.
func set(names ...string) func(context.Context, []string) (map[string]bool, error) {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return func(context.Context, []string) (map[string]bool, error) { return all, nil }
}

// asked have the entry f in their last cell, and the variable KEY of the environment is set.
var asked = []struct{ name, cells, want string }{
	{"plain", "import os, getpass as gp\nos.environ['KEY'] = gp.getpass('key: ')\n---\ndef f(): return 1", ""},
	{
		"of another import", "import os, getpass as gp\n---\nimport getpass as gp, os\n" +
			"os.environ['KEY'] = gp.getpass()\n" +
			"---\nimport os, getpass as gp\n---\ndef f(): return os.environ['KEY']",
		"import os, getpass as gp",
	},
	{"input", "import os\nos.environ['KEY'] = input('key: ')\n---\ndef f(): return 1", ""},
	{
		"guarded", "import os\nfrom getpass import getpass\nif not os.environ.get('KEY'):\n" +
			"    os.environ['KEY'] = getpass()\n" +
			"---\ndef f(): return os.environ['KEY']", "import os",
	},
	{
		"by a name", "import os\nfrom getpass import getpass\nKEY = getpass().strip()\nos.environ['KEY'] = KEY\n---\n" +
			"def f(): return os.environ['KEY']", "import os",
	},
	{
		"by a function", "import os, getpass\ndef ask(name):\n    if name not in os.environ:\n" +
			"        os.environ[name] = getpass.getpass(name)\nask('KEY')\n---\ndef f(): return 1", "",
	},
	{
		"in a loop", "import os\nfor k in ['KEY']:\n    os.environ[k] = input(k)\n---\ndef f(): return 1", "",
	},
	{"setdefault", "import os\nos.environ.setdefault('KEY', input())\n---\ndef f(): return 1", ""},
	{"update", "import os\nos.environ.update(KEY=input())\n---\ndef f(): return os.environ['KEY']", "import os"},
	{"putenv", "import os\nos.putenv('KEY', input())\n---\ndef f(): return 1", ""},
	{
		"of Colab", "import os\nfrom google.colab import userdata\nos.environ['KEY'] = userdata.get('KEY')\n---\n" +
			"def f(): return 1", "",
	},
	{
		"a login", "from huggingface_hub import login, snapshot_download\nfrom getpass import getpass\n" +
			"login(token=getpass())\n---\ndef f(): return snapshot_download",
		"from huggingface_hub import login, snapshot_download",
	},
	{
		"a login of its own", "import wandb\nwandb.login()\n---\ndef f(): return wandb", "import wandb",
	},
	{
		"a login with a key that is there", "import os, wandb\nwandb.login(key=os.environ['KEY'])\n---\n" +
			"def f(): return wandb", "import os, wandb\nwandb.login(key=os.environ['KEY'])",
	},
	{
		"else", "import os\nfrom getpass import getpass\nkey = os.environ.get('KEY') or getpass()\n---\n" +
			"def f(): return key",
		"import os\nfrom getpass import getpass\nkey = os.environ.get('KEY') or getpass()",
	},
	{
		"else, in branches", "import os\nif 'KEY' in os.environ:\n    key = os.environ['KEY']\nelse:\n" +
			"    key = input()\n" +
			"---\ndef f(): return key",
		"import os\nif 'KEY' in os.environ:\n    key = os.environ['KEY']\nelse:\n    key = input()",
	},
	{
		"what is no question", "import os\ndef input(x): return x\nos.environ['KEY'] = input('a')\n---\n" +
			"def f(): return 1",
		"import os\ndef input(x): return x\nos.environ['KEY'] = input('a')",
	},
}

func TestWhatAPersonWasAskedForIsInTheEnvironment(t *testing.T) {
	for _, c := range asked {
		t.Run(c.name, func(t *testing.T) {
			last := c.cells[strings.LastIndex(c.cells, "\n---\n")+len("\n---\n"):]
			s := of(t, live(c.cells), Options{Variables: set("KEY")})
			wantText(t, texts(s), strings.TrimPrefix(c.want+"\n"+last, "\n"))
			if n := notes(s); n != "" {
				t.Errorf("noted: %s", n)
			}
		})
	}
}

func TestWhatAPersonIsAskedForAndIsNotThereIsRefused(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{
			"the variable is read", "import os\nos.environ['REGION'] = input('region: ')\n---\n" +
				"def f(): return os.environ['REGION']",
			"f reads the variable REGION of the environment, which is not set and which input() asks for (cell 1, " +
				"line 2)\n" +
				"Set REGION in the environment before, or run that cell in the notebook.",
		},
		{
			"a keyword is read", "import os\nos.environ.update(REGION=input())\n---\n" +
				"def f(): return os.getenv('REGION')",
			"f reads the variable REGION of the environment, which is not set and which input() asks for (cell 1, " +
				"line 2)\n" +
				"Set REGION in the environment before, or run that cell in the notebook.",
		},
		{
			"a name", "from getpass import getpass\nkey = getpass()\n---\ndef f(): return key",
			"f uses `key`, which was made by getpass() in cell 1, line 2\n" +
				"Define it in a cell, or ship its value with --with key.",
		},
		{
			"an attribute", "import openai, getpass\nopenai.api_key = getpass.getpass()\n---\ndef f(): return openai",
			"f needs what getpass.getpass() asks for in cell 1, line 2, and nobody answers in a program\n" +
				"Put the answer into a variable of the environment, or into a name that --with ships.",
		},
		{
			"an attribute by a name", "import openai, getpass\nkey = getpass.getpass()\nopenai.api_key = key\n---\n" +
				"def f(): return openai",
			"cell 1, line 3 uses `key`, which was made by getpass.getpass() in cell 1, line 2\n" +
				"Define it in a cell, or ship its value with --with key.",
		},
		{
			"an item", "config = {}\nconfig['key'] = input()\n---\ndef f(): return config",
			"f needs what input() asks for in cell 1, line 2, and nobody answers in a program\n" +
				"Put the answer into a variable of the environment, or into a name that --with ships.",
		},
		{
			"by a function", "def ask(): return input()\nkey = ask()\n---\ndef f(): return key",
			"f uses `key`, which was made by input() in cell 1, line 1\n" +
				"Define it in a cell, or ship its value with --with key.",
		},
		{
			"else", "import os\nkey = os.getenv('REGION') or input()\n---\ndef f(): return key",
			"f uses `key`, which was made by input() in cell 1, line 2\n" +
				"Define it in a cell, or ship its value with --with key.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantText(t, complain(t, live(c.cells), Options{Variables: set("KEY")}).Error(), c.want)
		})
	}
	s := of(t, live("import os\nos.environ['REGION'] = input()\n---\n"+
		"def f(): return 1"), Options{Variables: set("KEY")})
	wantText(t, texts(s), "def f(): return 1")
	wantText(t, notes(s), "REGION is not set and input() cannot ask for it (cell 1, line 2), so that was left out")
}
