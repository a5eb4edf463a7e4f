package slicer

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// guards look whether they are in a notebook; f says so. value is what f gives in a program.
var guards = []struct{ name, cells, value string }{
	{
		"try in a function", "def in_notebook():\n    try:\n        return get_ipython().__class__.__name__ == " +
			"'ZMQ'\n" +
			"    except NameError:\n        return False\nIN = in_notebook()\n---\ndef f(): return IN", "False",
	},
	{
		"try at the top level", "try:\n    get_ipython()\n    IN = True\nexcept NameError:\n    IN = False\n---\n" +
			"def f(): return IN", "False",
	},
	{
		"try and any exception", "try:\n    get_ipython().config\n    IN = True\nexcept:\n    IN = False\n---\n" +
			"def f(): return IN",
		"False",
	},
	{
		"try and several", "try:\n    IN = 'x' in get_ipython().config\nexcept (AttributeError, NameError) as e:\n" +
			"    IN = 0\n" +
			"---\ndef f(): return IN", "0",
	},
	{
		"try a name", "try:\n    __IPYTHON__\n    IN = True\nexcept NameError:\n    IN = False\n---\n" +
			"def f(): return IN",
		"False",
	},
	{
		"suppress", "import contextlib\nIN = False\nwith contextlib.suppress(NameError):\n    get_ipython()\n" +
			"    IN = True\n---\n" +
			"def f(): return IN", "False",
	},
	{
		"its text", "IN = 'google.colab' in str(get_ipython())\nif 'google.colab' in str(get_ipython()):\n" +
			"    from google.colab import drive\n    IN = 2\n---\ndef f(): return IN", "False",
	},
	{"its type", "IN = 'ipykernel' in str(type(get_ipython()))\n---\ndef f(): return IN", "False"},
	{"its class", "IN = get_ipython().__class__.__name__\n---\ndef f(): return IN", "NoneType"},
	{"is not None", "IN = get_ipython() is not None\n---\ndef f(): return IN", "False"},
	{"not", "if not get_ipython():\n    IN = 3\nelse:\n    IN = 4\n---\ndef f(): return IN", "3"},
	{"alone", "IN = 4 if get_ipython() else 5\n---\ndef f(): return IN", "5"},
	{"hasattr", "IN = hasattr(get_ipython(), 'kernel')\n---\ndef f(): return IN", "False"},
	{
		"a name for it", "ip = get_ipython()\nIN = 1\nif ip is not None:\n" +
			"    ip.run_line_magic('matplotlib', 'inline')\n    IN = 2\n" +
			"---\ndef f(): return IN", "1",
	},
	{"of builtins", "import builtins\nIN = hasattr(builtins, '__IPYTHON__')\n---\ndef f(): return IN", "False"},
	{"of sys.modules", "import sys\nIN = 'ipykernel' in sys.modules\n---\ndef f(): return IN", "False"},
	{"of globals", "IN = 'get_ipython' in globals()\n---\ndef f(): return IN", "False"},
	{"in the function", "x = 1\n---\ndef f():\n    return get_ipython() is None", "True"},
	{
		"a magic by its object", "IN = 1\nget_ipython().run_line_magic('matplotlib', 'inline')\nif IN:\n" +
			"    get_ipython().run_line_magic('load_ext', 'autoreload')\n    IN = 2\n---\ndef f(): return IN", "2",
	},
}

func TestWhatLooksForANotebookRunsAsInAScript(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range guards {
		t.Run(c.name, func(t *testing.T) {
			doc := live(c.cells)
			doc.Names = map[string]session.Name{"get_ipython": {Kind: "function", Type: "builtins.method"}}
			for _, kind := range []session.Kind{session.Live, session.Saved} {
				doc.Kind = kind
				text := texts(of(t, doc, Options{}))
				if lines := strings.Count(text, "\n"); lines > strings.Count(c.cells, "\n") {
					t.Errorf("%d lines:\n%s", lines, text)
				}
				out, err := exec.CommandContext(t.Context(), python, "-W", "error", "-c",
					text+"print(f())").CombinedOutput()
				if got := strings.TrimSpace(string(out)); err != nil || got != c.value {
					t.Errorf("%s: %v: %s of\n%s", kind, err, got, text)
				}
			}
		})
	}
}

func TestWhatOnlyANotebookHasIsRefusedElsewhere(t *testing.T) {
	for cells, want := range map[string]string{
		"x = 1\n---\ndef f(): return get_ipython().user_ns['x']": "f uses `get_ipython` (cell 2, line 1), which " +
			"exists only in " +
			"a notebook\nLeave it out of the function.",
		"try:\n    import x\nexcept NameError:\n    pass\ny = get_ipython().user_ns\n---\n" +
			"def f(): return y": "y uses " +
			"`get_ipython` (cell 1, line 5), which exists only in a notebook\nLeave it out of the function.",
		"try:\n    y = get_ipython().user_ns\nexcept ValueError:\n    pass\n---\n" +
			"def f(): return y": "y uses `get_ipython` " +
			"(cell 1, line 2), which exists only in a notebook\nLeave it out of the function.",
		"y = __IPYTHON__\n---\ndef f(): return y": "y uses `__IPYTHON__` (cell 1, line 1), which exists only in a " +
			"notebook\n" +
			"Leave it out of the function.",
	} {
		wantText(t, complain(t, live(cells), Options{}).Error(), want)
	}
}
