package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The code cells of a notebook which jupytext 1.19 has written to testdata in three formats.
var notebookCells = []string{
	"import os\ngrid = {\"k\": [1, 2]}",
	"%cd data\n!ls -l\nfiles = !ls\n%matplotlib inline\n# a comment\n# %timeit not\nif 1:\n    %env A=1",
	"%%bash\nls\necho x",
	"%%writefile a.py\nx = 1\n\ndef f():\n    return x",
	"%%train --hyper-parameters grid\n\ndef fit(k):\n    s = '''\n# %cd inside\n'''\n\n    return {\"v\": k}",
	"%metaml runs",
	"%%time\n%%train\ndef g(): return 1",
	"%%capture out\nprint(1)",
	"%%html\n<b>x</b>",
}

func sources(d *Document) []string {
	out := []string{}
	for i, c := range d.Cells {
		if c.Seq != i+1 {
			out = append(out, "wrong number")
		}
		out = append(out, c.Source)
	}
	return out
}

func TestAScriptOfJupytextIsItsNotebook(t *testing.T) {
	for _, format := range []string{"percent", "hydrogen", "light"} {
		t.Run(format, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join("testdata", "jupytext-"+format+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			d, err := FromSource(src, "a.py")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(notebookCells, sources(d)); d.Kind != Saved || diff != "" {
				t.Errorf("%s (-want +got)\n%s", d.Kind, diff)
			}
		})
	}
}

func TestWhichScriptsAreNotebooks(t *testing.T) {
	const header = "# ---\n# jupyter:\n#   jupytext:\n#     text_representation: {extension: .py, format_name: " +
		"percent}\n# ---\n"
	for _, c := range []struct {
		name, src string
		want      []string // nil: a script
	}{
		{"without a header", "import os\n\n# %%\n# %%train\ndef f(): pass\n", []string{"import os", "%%train\n" +
			"def f(): pass"}},
		{"served", "# %% one\n# %%serve --port 1\ndef f(x): pass\n", []string{"%%serve --port 1\ndef f(x): pass"}},
		{"remarks before the first cell", header + "# Run it.\n\n#%%\n# %%train\n" +
			"def f(): pass", []string{"%%train\ndef f(): pass"}},
		{
			"a command that goes on", header + "# %%\n# !pip install \\\n#   numpy\nx = 1\n# %%\n# %%train\n" +
				"def f(): pass",
			[]string{"!pip install \\\n  numpy\nx = 1", "%%train\ndef f(): pass"},
		},
		{
			"arguments of another language", "# %% language=\"bash\" magic_args=\"--out x\"\n# ls\n# %%\n" +
				"# %%train\ndef f(): pass",
			[]string{"%%bash --out x\nls", "%%train\ndef f(): pass"},
		},
		{"a marker in a string", "s = '''\n# %%\n# %%train\n'''\n", nil},
		{"a remark about it", "# The cell has\n# %%train\ndef f(): pass\n", nil},
		{"a remark in a cell", "# %%\nx = 1\n# %%train is for notebooks\n", nil},
		{"another word", "# %%\n# %%training\ndef f(): pass\n", nil},
		{"cells without one of ours", "# %%\n# %cd data\nx = 1\n", nil},
		{"a title", "# %% train model\ndef f(): pass\n", nil},
		{"another format", strings.Replace(header, "percent", "sphinx", 1) + "# %%\n# %%train\ndef f(): pass", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := FromSource([]byte(c.src), "a.py")
			if err != nil {
				t.Fatal(err)
			}
			if (d.Kind == Saved) != (c.want != nil) {
				t.Fatalf("it is a %s: %q", d.Kind, sources(d))
			}
			if c.want == nil {
				c.want = []string{c.src}
			}
			if diff := cmp.Diff(c.want, sources(d)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzFromSource(f *testing.F) {
	for _, format := range []string{"percent", "hydrogen", "light"} {
		src, err := os.ReadFile(filepath.Join("testdata", "jupytext-"+format+".txt"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("# ---\n# %%train\n'''"))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := FromSource(src, "a.py")
		if err != nil {
			return
		}
		// Nothing is made up, and nothing is twice.
		total := 0
		for _, c := range d.Cells {
			total += len(c.Source)
		}
		if d.Kind == Saved && total > 2*len(src)+100 {
			t.Errorf("%d bytes of %d", total, len(src))
		}
	})
}
