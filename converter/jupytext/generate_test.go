package jupytext

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

// generator makes notebooks and scripts by chance, of lines that are likely to go wrong.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) *generator { return &generator{rand.New(rand.NewPCG(seed, 17))} }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

var plainLines = []string{
	"x = 1", "import numpy as np", "def f(a):", "    return a", "class A:", "async def g():", "@decorator", "", "",
	"print('it')", `s = """`, `"""`, "'''", "# a comment",
	"%matplotlib inline", "%%time", "%%bash", "%%html", "!ls -l",
	"!pip install x \\", "  --quiet", "files = !ls", "?help",
	"len?", "ls", "cd ..", "cat = 3", "%timeit f()", "%%R -i x",
	"# %magic", "# !ls", "# # %cd", "if x:", "    %cd x", "    # a", "text with = sign", "é ü 漢字 🎉", "Some *text*.",
	"# Heading", "- item", "```python", "```", "~~~", "    code", "x?", ")", "for i in range(3): pass",
	"%load_ext autoreload", "s = 'a\\\\'", `r = "it's"`, "# noescape", "%cd x # noescape", "<b>", "---",
}

var oddLines = []string{
	"# %%", "# %% title", "#%%", "%%", "%% a", "%%%", "# # %%",
	"  # %% x", "# In[3]:", "In[1]:", "<codecell>", "> a", ">",
	"   ", "\t", "a ", "\r", "a\rb", "\f", "# +", "# -", "# # + x", "%%python", "%%bash ", "%%bash  -x", "%%sql\tx",
	`!echo """`, `%time x = """`, `x = "\\"""`, `y = """\\"""`,
	"\x00", "\u2028", "%%%%x", "# ---", "#!", "#", "# ", "#  ",
	"<!-- #region -->", "<!-- #endregion -->", "<!-- #raw -->", "````", "```bash x=1", "```{r}", "%%markdown",
	"# %% [markdown]", "#%%time", "-->", "\ufeff", `"""a"""`,
	"# coding: utf-8", "%%script bash", "# ```", "# >", "%%R",
	"%cd x # escape",
}

func (g *generator) source(odd bool) string {
	lines := make([]string, g.IntN(5))
	for i := range lines {
		lines[i] = pick(g, plainLines)
		if odd && g.IntN(4) == 0 {
			lines[i] = pick(g, oddLines)
		}
	}
	text := strings.Join(lines, "\n")
	if odd && g.IntN(6) == 0 {
		text += strings.Repeat("\n", g.IntN(4))
	}
	return text
}

var plainValues = []string{`"a"`, `1`, `true`, `null`, `["a",
"b"]`, `{"k": "v w"}`, `"two words"`, `1.5`, `"é"`, `[]`}

var oddValues = []string{
	`"x = 1"`, `""`, `"a\nb"`, `"\""`, `{}`, `1e5`, `-0.0`,
	`NaN`, `12345678901234567890`, `{"a": [{"b": null}]}`, `"yes"`,
	`"12"`, `"- a"`, `" a "`, `"a: b"`, `"#"`, `"\u2028"`, `"🎉"`, `"'"`, `"\u0000"`,
	`"long words that go on and on until the line is much longer than eighty characters, and more, 'quoted' a: b"`,
	`"long words that go on and on and on until the line is much longer than eighty characters and then some more"`,
	`"é long words that go on and on and on until the line is much longer than eighty characters and then some more"`,
	`"a\n\n  b\nc"`, `[["a", 1], {"x": [1]}]`, `1e300`, `"2020-01-01"`, `"~"`, `"0x1f"`, `"1:30"`,
}

func (g *generator) value(odd bool) *nbformat.Value {
	raw := pick(g, plainValues)
	if odd && g.IntN(2) == 0 {
		raw = pick(g, oddValues)
	}
	v, err := nbformat.ParseValue([]byte(raw))
	if err != nil {
		panic(err)
	}
	return v
}

func (g *generator) metadata(odd bool) *nbformat.Value {
	m := nbformat.ObjectValue()
	for range g.IntN(3) {
		keys := []string{"tags", "slideshow", "name", "title", "collapsed", "editable", "x.y", "active"}
		switch key := pick(g, keys); key {
		case "tags":
			m.Set(key, nbformat.StringsValue(pick(g, []string{
				"parameters",
				"remove-cell", "active-ipynb", "active-py",
			})))
		case "title":
			m.Set(key, nbformat.StringValue(pick(g, []string{"A title", "Setup"})))
		case "active":
			m.Set(key, nbformat.StringValue(pick(g, []string{"ipynb", "py", "ipynb,py", "md"})))
		default:
			m.Set(key, g.value(odd))
		}
	}
	if odd && g.IntN(6) == 0 {
		m.Set(pick(g, []string{
			"language", "magic_args", "title", "cell_type", "region_name", "a b", "", "cell_depth", "metaml_cell",
			"run_control", "incorrectly_encoded_metadata", "lines_to_next_cell", "cell_marker", "tags", "active",
		}), g.value(true))
	}
	return m
}

func (g *generator) document(odd bool) *nbformat.Document {
	cells := make([]*nbformat.DocumentCell, g.IntN(5))
	for i := range cells {
		cells[i] = nbformat.NewCell(pick(g, []string{
			"code",
			"code", "code", "markdown", "markdown", "raw",
		}), g.source(odd))
		if g.IntN(4) == 0 {
			cells[i].SetMetadata(g.metadata(odd))
		}
		if source := cells[i].Source(); !odd && cells[i].Type() == "raw" && strings.HasPrefix(source, "%%") {
			cells[i].SetSource("x" + source) // jupytext's Markdown loses this line
		}
	}
	if odd && len(cells) > 0 && g.IntN(8) == 0 {
		cells[0] = nbformat.NewCell("raw", pick(g, []string{
			"---\ntitle: x\n---",
			"---\n---", "---\n\njupyter: x\n---\n",
		}))
	}
	d := nbformat.New()
	n := 0
	d.NewID = func() string { n++; return fmt.Sprintf("id-%d", n) }
	if err := d.SetCells(cells); err != nil {
		panic(err)
	}
	d.FillIDs()
	meta := nbformat.ObjectValue()
	if g.IntN(3) > 0 {
		spec := nbformat.ObjectValue()
		spec.Set("display_name", nbformat.StringValue("Python 3 (ipykernel)"))
		spec.Set("language", nbformat.StringValue("python"))
		spec.Set("name", nbformat.StringValue("python3"))
		meta.Set("kernelspec", spec)
	}
	if g.IntN(3) == 0 {
		info := nbformat.ObjectValue()
		info.Set("name", nbformat.StringValue("python"))
		info.Set("file_extension", nbformat.StringValue(".py"))
		info.Set("version", nbformat.StringValue("3.11"))
		meta.Set("language_info", info)
	}
	if odd {
		for range g.IntN(3) {
			meta.Set(pick(g, []string{
				"a", "toc", "b c", "yes",
				"é", "widgets", "jupytext", "kernel_info",
			}), g.value(true))
		}
		if g.IntN(4) == 0 {
			own := nbformat.ObjectValue()
			for range g.IntN(3) {
				switch g.IntN(7) {
				case 0:
					own.Set("comment_magics", nbformat.BoolValue(g.IntN(2) == 0))
				case 1:
					own.Set("cell_markers", nbformat.StringValue(`"""`))
				case 2:
					own.Set("cell_metadata_json", nbformat.BoolValue(true))
				case 3:
					own.Set("notebook_metadata_filter", nbformat.StringValue(pick(g, []string{"-all", "all"})))
				case 4:
					own.Set("main_language", nbformat.StringValue("python"))
				case 5:
					own.Set("executable", nbformat.StringValue("/usr/bin/python"))
				default:
					own.Set("encoding", nbformat.StringValue("# -*- coding: utf-8 -*-"))
				}
			}
			meta.Set("jupytext", own)
		}
	}
	d.SetMetadata(meta)
	return d
}

const oldHeader = `# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.16.4
#   kernelspec:
#     name: python3
# ---

`

// script makes a text as a person may write it.
func (g *generator) script() string {
	var b strings.Builder
	if g.IntN(3) == 0 {
		b.WriteString(pick(g, []string{
			oldHeader,
			"#!/usr/bin/env python\n", "# -*- coding: utf-8 -*-\n",
			"# ---\n# title: A\n# ---\n", "\n\n", "\"\"\"Text.\"\"\"\n\n",
			"# ---\n# jupyter: {kernelspec: {name: x}}\n# ---\n",
			"# ---\n# jupyter:\n#   a: &x 1\n#   b: *x\n# ---\n\n\n",
			"# ---\n# jupyter:\n#   jupytext:\n#     comment_magics: false\n#     cell_markers: '\"\"\"'\n# ---\n\n",
			"\ufeff",
		}))
	}
	for range g.IntN(5) {
		if g.IntN(8) > 0 {
			b.WriteString(pick(g, []string{
				"# %%", "#%%", "# %% A title", "# %% [markdown]",
				"#%% [md]", "# %% [raw]", `# %% tags=["a"]`, "# %%%  sub", "# %% ",
				`# %% {"a": 1}`, "# In[1]:", "# <codecell>", `# %% language="bash" magic_args="-x"`, `# %% a='b' c`,
				`# %% [markdown] slideshow={"slide_type": "slide"}`,
				`# %% active="ipynb"`, `# %% active="py"`, "  # %% a = b",
				`# %% metaml_cell={"metadata": {"a": 1}}`,
				`# %% [markdown] metaml_cell={"metadata": {}, "quoted": true}`,
				`# %% language="python"`, `# %% run_control={"frozen": true}`, `# %% tags=["active-py"]`, `# %%%% {`,
			}) + "\n")
		}
		switch g.IntN(4) {
		case 0:
			for line := range strings.SplitSeq(g.source(true), "\n") {
				b.WriteString("# " + line + "\n")
			}
		case 1:
			quote := pick(g, []string{`"""`, "'''", `r"""`})
			b.WriteString(quote + pick(g, []string{
				"\n",
				"",
			}) + g.source(g.IntN(3) == 0) + pick(g, []string{"\n", ""}) +
				strings.TrimLeft(quote, "r") + "\n")
		default:
			b.WriteString(g.source(g.IntN(3) == 0) + "\n")
		}
		b.WriteString(strings.Repeat("\n", g.IntN(4)))
	}
	text := b.String()
	switch g.IntN(12) {
	case 0:
		text = strings.TrimRight(text, "\n")
	case 1:
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}
