package agent

import (
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

const (
	mapOfNotebook = `{"source": "/home/a/train.ipynb", "lines": [
		{"script": 10, "cell": 4, "label": 7, "line": 2}, {"script": 11, "cell": 0, "label": 0, "line": 0}]}`
	mapOfScript = `{"source": "/home/a/train.py", "lines": [{"script": 10, "cell": 1, "label": 1, "line": 25}]}`
)

func TestAFrameIsMappedToItsCell(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		frame  run.Frame
		want   run.Frame
	}{
		"a line of a cell": {
			mapOfNotebook,
			run.Frame{File: "main.py", Line: 10, Mine: true},
			run.Frame{File: "main.py", Line: 10, Mine: true, Cell: 7, CellLine: 2},
		},
		"a line of a script": {
			mapOfScript,
			run.Frame{File: "main.py", Line: 10, Mine: true},
			run.Frame{File: "train.py", Line: 25, Mine: true},
		},
		"a line that no cell has": {
			mapOfNotebook,
			run.Frame{File: "main.py", Line: 11, Mine: true},
			run.Frame{File: "main.py", Line: 11, Mine: true},
		},
		"another file": {
			mapOfNotebook,
			run.Frame{File: "helper.py", Line: 10, Mine: true},
			run.Frame{File: "helper.py", Line: 10, Mine: true},
		},
		"a library": {
			mapOfNotebook, run.Frame{File: "main.py", Line: 10}, run.Frame{File: "main.py", Line: 10},
		},
		"a map that is no JSON": {
			"{", run.Frame{File: "main.py", Line: 10, Mine: true}, run.Frame{File: "main.py", Line: 10, Mine: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &run.Error{Frames: []run.Frame{c.frame}}
			parseSourceMap([]byte(c.source)).mapError(e)
			if e.Frames[0] != c.want {
				t.Errorf("%+v, want %+v", e.Frames[0], c.want)
			}
		})
	}
}

func TestAReasonNamesItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		line   int
		want   string
	}{
		"in a cell":    {mapOfNotebook, 10, "a thread runs, cell 7 line 2"},
		"in a script":  {mapOfScript, 10, "a thread runs, train.py line 25"},
		"in main.py":   {mapOfNotebook, 3, "a thread runs, line 3"},
		"unknown":      {mapOfNotebook, 0, "a thread runs"},
		"without maps": {"", 10, "a thread runs, line 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "map.json")
			if c.source != "" {
				writeFile(t, path, c.source)
			}
			if got := readSourceMap(path).explain(cause{"a thread runs", c.line}); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestNamesAreListedWithTheirVerb(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"a"}, "`a` was"},
		{[]string{"b", "a"}, "`a` and `b` were"},
		{[]string{"c", "a", "b"}, "`a`, `b` and `c` were"},
		{[]string{"d", "c", "a", "b"}, "`a`, `b`, `c` and 1 other files were"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			if got := listed(c.names, 3); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}
