package slicer

import (
	"context"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// The second cell took 18 minutes. What the note offers was tried: with it the cell is no part of the program.
func TestASlowCellIsNamedWithWhatHelps(t *testing.T) {
	const again = "cell 2 took 18 min and runs again with the program"
	for _, c := range []struct{ name, cells, want string }{
		{
			"its value", "import pandas as pd\n---\ndf = pd.read_csv('big')\n---\ndef f(): return df",
			again + "; `--with df` ships its value instead",
		},
		{
			"a value of several steps", "import pandas as pd\n---\na = pd.read_csv('big')\nb = a.dropna()\n---\n" +
				"def f(): return b",
			again + "; `--with b` ships its value instead",
		},
		{
			"what a loop fills", "from tqdm import tqdm\nout = []\n---\nfor i in tqdm(range(9)):\n" +
				"    out.append(i ** 2)\n---\n" +
				"def f(): return out", again + "; `--with out` ships its value instead",
		},
		{
			"what is trained", "from lib import Net\nnet = Net()\n---\nnet.fit([1])\n---\ndef f(): return net",
			again + "; `--with net` ships its value instead",
		},
		{
			"two values", "import pandas as pd\n---\na = pd.read_csv('big')\nb = pd.read_csv('bigger')\n" +
				"c = a.head()\n---\n" +
				"def f(): return a, b", again + "; `--with a,b` ships its values instead",
		},
		{
			"one that does more", "import os\ndef fit(n):\n    os.environ['A'] = str(n)\n    return n\n---\n" +
				"m = fit(100)\n---\n" +
				"def f(): return m", again,
		},
		{
			"a module", "x = 1\n---\nimport lib\nlib.set_cache(x)\n---\nimport lib\ndef f(): return lib", again,
		},
		{"what is not needed", "x = 1\n---\ny = input_free(x)\n---\ndef f(): return x", ""},
		{"definitions alone", "x = 1\n---\nimport json\ndef g(): return json.dumps(1)\n---\ndef f(): return g()", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := live(c.cells)
			doc.Cells[1].Seconds = 1080
			wantText(t, notes(of(t, doc, Options{})), c.want)
			doc.Kind = session.Saved
			wantText(t, notes(of(t, doc, Options{})), "")
		})
	}
}

func TestAValueThatCannotBeShippedIsNotOffered(t *testing.T) {
	doc := live("import lib\n---\nx = lib.make()\n---\ndef f(): return x, lib.other, gone")
	doc.Cells[1].Seconds = 11
	doc.Names = map[string]session.Name{"x": {Kind: "value"}, "lib": {Kind: "module", Module: "lib"}}
	for size, want := range map[int64]string{
		-1:      "cell 2 took 11 s and runs again with the program",
		3200000: "cell 2 took 11 s and runs again with the program; `--with x` ships its value (3.2 MB) instead",
	} {
		s := of(t, doc, Options{Describe: func(_ context.Context, names []string) (map[string]session.Name, error) {
			described := map[string]session.Name{}
			for _, n := range names {
				described[n] = session.Name{Kind: "value", Size: size}
				if n == "gone" {
					described[n] = session.Name{Kind: "module", Module: "gone"}
				}
			}
			return described, nil
		}})
		wantText(t, notes(s), want)
	}
}
