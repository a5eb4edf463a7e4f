package slicer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// saved makes the document of a saved notebook in a folder with files.
func saved(t *testing.T, cells string, files map[string]string) *session.Document {
	t.Helper()
	d := live(cells)
	d.Kind, d.Cwd = session.Saved, t.TempDir()
	for i := range d.Cells {
		d.Cells[i].OK, d.Cells[i].Count = nil, 0
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.Cwd, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestFilesThatASavedNotebookRuns(t *testing.T) {
	files := map[string]string{
		"setup.py": "import os\nK = 3\nUNUSED = 4\ndef helper(): return K * SCALE\nif __name__ == '__main__':\n   " +
			" MAIN = 1\n",
		"other.ipynb": `{"nbformat":4,"cells":[{"cell_type":"code","source":"A = 1"},{"cell_type":"markdown",` +
			`"source":"x"},` +
			`{"cell_type":"code","source":"%run setup.py\nB = K + A"}]}`,
		"bad.py": "x = 1\nl = [1\n",
	}
	for _, c := range []struct{ name, cells, want string }{
		{
			"names of the file", "SCALE = 2\n%run setup.py\nx = helper()\n---\n%%train\ndef f(): return x",
			"SCALE = 2\nK = 3\ndef helper(): return K * SCALE\nx = helper()\ndef f(): return x",
		},
		{
			"without its suffix, with options", "%run -i 'setup' --lr 3\n---\n%%train\ndef f(): return K",
			"K = 3\ndef f(): return K",
		},
		{"after it", "%run setup.py\nK = 5\n---\n%%train\ndef f(): return K", "K = 5\ndef f(): return K"},
		{"before it", "K = 5\n---\n%run setup.py\n---\n%%train\ndef f(): return K", "K = 3\ndef f(): return K"},
		{
			"what runs as the program itself", "%run setup.py\n---\n%%train\ndef f(): return MAIN",
			"if __name__ == '__main__':\n    MAIN = 1\ndef f(): return MAIN",
		},
		{
			"a notebook that runs a file", "%run other.ipynb\n---\n%%train\ndef f(): return B",
			"A = 1\nK = 3\nB = K + A\ndef f(): return B",
		},
		{"in the cell of the function", "%%train\n%run setup.py\ndef f(): return K", "K = 3\ndef f(): return K"},
		{"a file that nobody needs", "%run bad.py\n---\n%%train\ndef f(): return 1", "def f(): return 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantText(t, texts(of(t, saved(t, c.cells, files), Options{})), c.want)
		})
	}
	s := of(t, saved(t, "y = 1\n---\n%run setup.py\n---\n%%train\ndef f(): return K, y", files), Options{})
	if got := s.Summary(); got != "ran from cells 1, 2 and 3 · 3 lines" {
		t.Errorf("got %q", got)
	}
	wantText(t, s.Explain(),
		"cell 1, line 1      y = 1                                                         needed by f\nsetup.py, "+
			"line 2    K = 3                                                         needed by f\ncell 3, line 2     "+
			" def f(): return K, y                                          the entry")
	for cells, want := range map[string]string{
		"%run -n setup.py\n---\n%%train\ndef f(): return MAIN": "f uses `MAIN` (cell 2, line 2), which no " +
			"cell defines\nDefine it in a cell.",
		"%run setup.py\n---\n%%train\ndef f(): return helper()": "helper uses `SCALE` (setup.py, line 4), " +
			"which no cell defines\nDefine it in a cell.",
		"%run missing.py\n---\n%%train\ndef f(): return made()": "f uses `made` (cell 2, line 2), which no " +
			"cell defines: %run missing.py in cell 1 may have made it\nDefine it in a cell.",
		"%run bad.py\n---\n%%train\ndef f(): return l": "bad.py, line 2 is not Python: l = [1",
		"%run -m setup\n---\n%%train\ndef f(): return K": "f uses `K` (cell 2, line 2), which no " +
			"cell defines: %run -m setup in cell 1 may have made it\nDefine it in a cell.",
		"%run setup.py\n---\ndel helper\n---\n%%train\ndef f(): helper()": "f uses `helper` (cell 3, line 2), which " +
			"is not defined in this session: cell 2 deleted it\nDefine it in a cell.",
	} {
		t.Run(cells, func(t *testing.T) {
			wantText(t, complain(t, saved(t, cells, files), Options{}).Error(), want)
		})
	}
}

func TestFilesThatALiveNotebookRan(t *testing.T) {
	doc := live("a = 1\n%run one.py\nb = X + a\n%run two.py\n---\nX = a\n---\nX = X + b\n---\n%%time\n%run " +
		"three.ipynb\n---\nP = 1\n---\nQ = P\n---\ndef f(): return X, b, Q")
	for i, parent := range []int{0, 1, 1, 0, 4, 4} {
		if parent > 0 {
			doc.Cells[i].Parent, doc.Cells[i].Origin = parent, "run"
		}
	}
	wantText(t, texts(of(t, doc, Options{})),
		"a = 1\nX = a\nb = X + a\nX = X + b\nP = 1\nQ = P\ndef f(): return X, b, Q")

	doc.Cells[0].Parent, doc.Cells[1].Parent, doc.Cells[0].Origin = 2, 1, "run" // in a circle
	_, _ = Of(t.Context(), doc, Options{})
}

func TestFilesRunBeforeMetaMLWasLoaded(t *testing.T) {
	doc := saved(t, "%run setup.py\n---\ndef f(): return K", map[string]string{"setup.py": "K = 1"})
	doc.Kind, doc.Cells[0].Origin = session.Live, "history"
	wantText(t, texts(of(t, doc, Options{})), "K = 1\ndef f(): return K")
}
