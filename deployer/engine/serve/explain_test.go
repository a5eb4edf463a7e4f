package serve

import (
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhatTheLogSaysOfAFailedCall(t *testing.T) {
	t.Parallel()
	const trace = "\nTraceback (most recent call last):\n  cell 1, line 2, in serve\n    "
	for _, c := range []struct {
		sentence, rest, kind string
		fatal                bool
	}{
		{"serve raised ValueError: no", "\nTraceback (most recent call last):\n  x", "ValueError", false},
		{"serve raised NameError: name 'np' is not defined", "\nTraceback", "NameError", true},
		{"serve raised UnboundLocalError: value", "\nTraceback", "UnboundLocalError", false},
		{"serve raised ModuleNotFoundError: No module", trace + "import x\n", "ModuleNotFoundError", true},
		{"serve raised ModuleNotFoundError: none", trace + "import_module(name)\n", "ModuleNotFoundError", false},
		{
			"serve raised ImportError: x",
			"\nTraceback\n  File \"a.py\", line 2, in serve\n    from y import x\n",
			"ImportError", true,
		},
		{
			"serve raised ImportError: y",
			"\nTraceback\n  File \"a.py\", line 2, in serve\n    y(x)\n" +
				"  File \"/lib/y.py\", line 2, in y\n    import x\n",
			"ImportError", false,
		},
		{"serve returned infinity at [0], which cannot be JSON", "", "TypeError", false},
		{"serve returned 2 results for a list of 1 input", "", "TypeError", true},
		{"serve returned a set at .labels, which cannot be JSON", "", "TypeError", true},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			f := explain(c.sentence + c.rest)
			if f.sentence != c.sentence || f.err.Type != c.kind || f.fatal != c.fatal {
				t.Errorf("%+v %+v", f, f.err)
			}
		})
	}
}

func TestWhereAFailedCallFailed(t *testing.T) {
	t.Parallel()
	trace := "Traceback (most recent call last):\n  cell 5, line 3, in serve\n    return scale(x)\n           " +
		"^^^^^^^^\n" +
		"  cell 2, line 7, in scale\n    return x * np.ones(7)\n  File \"/lib/x.py\", line 5, in y\n    " +
		"z\nValueError: shapes"
	f := explain("serve raised ValueError: shapes\n" + trace)
	if n := len(f.err.Frames); n != 2 || f.err.Frames[1].Cell != 2 || f.err.Frames[1].CellLine != 7 ||
		f.err.Frames[1].Text != "return x * np.ones(7)" {
		t.Errorf("%+v", f.err.Frames)
	}
}

func TestWhereAFailedCallOfAScriptFailed(t *testing.T) {
	t.Parallel()
	f := explain("serve raised KeyError: 'a'\nTraceback (most recent call last):\n  File \"a.py\", line 3, in " +
		"serve\n    return x['a']\nKeyError: 'a'")
	if len(f.err.Frames) != 1 || f.err.Frames[0] != (run.Frame{
		File: "a.py", Line: 3, Function: "serve",
		Text: "return x['a']", Mine: true,
	}) {
		t.Errorf("%+v", f.err.Frames)
	}
}

// The log is the program's own: anything may be in it.
func FuzzExplain(f *testing.F) {
	f.Add("serve raised ValueError: no\nTraceback")
	f.Add(" raised \n raised : ")
	f.Fuzz(func(t *testing.T, entry string) {
		found := explain(entry)
		if found.err == nil || !strings.HasPrefix(entry, found.sentence) || strings.Contains(found.sentence, "\n") {
			t.Errorf("%q: %+v", entry, found)
		}
	})
}

func TestWhatKeepsEndingIsStartedEverMoreSlowly(t *testing.T) {
	t.Parallel()
	p := pace{most: maxWorkerDelay}
	for i, want := range []int64{0, 100, 200, 400, 800, 1600} {
		if got := p.next(time.Second); got.Milliseconds() != want {
			t.Errorf("end %d: %v", i+1, got)
		}
	}
	for range 100 {
		p.next(time.Second)
	}
	if got := p.next(time.Second); got != maxWorkerDelay {
		t.Errorf("in the end %v", got)
	}
	if got := p.next(quickly); got != 0 {
		t.Errorf("after a good while %v", got)
	}
}
