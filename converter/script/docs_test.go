package script

import (
	"os"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/ipython"
)

// others are rows of the docs' table for what is no magic.
var others = [][2]string{
	{"`!command`, `x = !command`", "the command, which writes to the script's output; its output as a list of lines"},
	{"`!pip install`, conda, mamba, uv, apt, brew", "a comment; what it installs is a requirement"},
	{"`name?`, `?name`", "a comment"},
	{
		"the last expression of a cell",
		"printed as the notebook shows it, also by `_repr_pretty_`; `ast_node_interactivity` is followed",
	},
	{"`display(…)`, IPython.display", "printed as text; HTML and other things for browsers as a line that says so"},
	{"matplotlib, seaborn, `.plot()` of pandas", "figures are saved beside the script by `plt.show()`, and at the end"},
	{"`await` outside of a function", "a function that an event loop runs"},
	{"`from __future__ import …`", "stands at the head"},
	{"tqdm.notebook", "tqdm, which writes to a terminal"},
	{
		"Colab's drive, files, userdata",
		"small functions that say where the file or secret is expected; other parts are refused",
	},
	{"`../input`, `/kaggle/input`", "as it stands; a note says where the files are expected"},
	{"`dbutils`, `spark`, `displayHTML` of Databricks", "refused"},
	{"`_`, `Out[3]`, `In`", "refused: give the value a name"},
	{"`get_ipython()`", "None, or not there where a `try` asks for it; what only it can do is refused"},
	{"tags `remove-cell`, `metaml-skip`, `active-ipynb`", "the cell is left out, and a comment says so"},
	{"tag `skip-execution`", "the cell stays as comments"},
	{"tag `raises-exception`", "the cell may fail, and the script goes on"},
	{"a cell that is no Python, or Python 2", "refused"},
}

const fatesBegin, fatesEnd = "<!-- fates -->\n", "<!-- end of fates -->\n"

// table is the docs' table of what becomes of what.
func table() string {
	var b strings.Builder
	b.WriteString("| in the notebook | in the script |\n| --- | --- |\n")
	for _, rule := range ipython.Rules() {
		becomes := rule.Becomes
		switch rule.Fate {
		case ipython.Refused:
			becomes = "refused: " + strings.ToLower(rule.Becomes[:1]) + strings.TrimSuffix(rule.Becomes[1:], ".")
		case ipython.Dropped:
			becomes = "a comment"
		case ipython.Requirement:
			becomes = "a comment; " + rule.Becomes
		}
		b.WriteString("| `" + strings.Join(rule.Names, "`, `") + "` | " + becomes + " |\n")
	}
	b.WriteString("| any other magic | refused |\n")
	for _, o := range others {
		b.WriteString("| " + o[0] + " | " + o[1] + " |\n")
	}
	return b.String()
}

// TestDocsHaveTheFates checks that docs/guides/nbconvert.md says what becomes of what.
func TestDocsHaveTheFates(t *testing.T) {
	const file = "../../docs/guides/nbconvert.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), fatesBegin)
	now, after, ends := strings.Cut(rest, fatesEnd)
	if !begins || !ends {
		t.Fatalf("%s has no marks %q and %q", file, fatesBegin, fatesEnd)
	}
	if now == table() {
		return
	}
	if !*update {
		t.Fatalf("%s has another table than the rules: go test ./converter/script -update", file)
	}
	if err := os.WriteFile(file, []byte(before+fatesBegin+table()+fatesEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
}
