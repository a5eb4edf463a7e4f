package jupytext_test

import (
	"fmt"

	"github.com/metaml/metaml/converter/jupytext"
	"github.com/metaml/metaml/converter/nbformat"
)

func ExamplePercent() {
	d := nbformat.New(
		nbformat.NewCell("markdown", "# Title"),
		nbformat.NewCell("code", "%matplotlib inline\nx = 1"),
	)
	text, err := jupytext.Percent(d, jupytext.Options{NoHeader: true})
	fmt.Println(string(text), err)
	// Output:
	// # %% [markdown]
	// # # Title
	//
	// # %%
	// # %matplotlib inline
	// x = 1
	//  <nil>
}

func ExampleFromPercent() {
	text := []byte("# %% [markdown]\n# # Title\n\n# %% tags=[\"a\"]\n# !ls\n")
	d, err := jupytext.FromPercent(text, jupytext.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range d.Cells() {
		fmt.Println(c.Type(), c.Tags(), c.Source())
	}
	// Output:
	// markdown [] # Title
	// code [a] !ls
}

func ExampleMarkdown() {
	d := nbformat.New(nbformat.NewCell("markdown", "# Title"), nbformat.NewCell("code", "x = 1"))
	text, err := jupytext.Markdown(d, jupytext.Options{NoHeader: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(text))
	// Output:
	// # Title
	//
	// ```python
	// x = 1
	// ```
}

func ExampleFromMarkdown() {
	d, err := jupytext.FromMarkdown([]byte("# Title\n\n```python\nx = 1\n```\n"), jupytext.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range d.Cells() {
		fmt.Println(c.Type(), c.Source())
	}
	// Output:
	// markdown # Title
	// code x = 1
}

// A notebook in another language gives a script with the signs of that language.
func ExampleScript() {
	d := nbformat.New(nbformat.NewCell("markdown", "text"), nbformat.NewCell("code", "let x = 1"))
	d.Metadata().Set("kernelspec", nbformat.ObjectValue())
	d.Metadata().Get("kernelspec").Set("language", nbformat.StringValue("javascript"))
	text, extension, err := jupytext.Script(d)
	fmt.Print(string(text))
	fmt.Println(extension, err)
	// Output:
	// // %% [markdown]
	// // text
	//
	// // %%
	// let x = 1
	// .js <nil>
}

// A script in another language than Python needs its extension, unless its header names the kernel.
func ExampleOptions() {
	text, extension := []byte("// %% [markdown]\n// text\n"), ".js"
	if !jupytext.HasCells(text, extension) {
		return
	}
	d, err := jupytext.FromPercent(text, jupytext.Options{Extension: extension})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(jupytext.LanguageOf(extension), d.Language(), d.Cells()[0].Source())
	// Output:
	// javascript javascript text
}

func ExampleFromDatabricks() {
	d, err := jupytext.FromDatabricks([]byte(`# Databricks notebook source
# MAGIC %md # Title

# COMMAND ----------

x = 1
`), jupytext.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range d.Cells() {
		fmt.Println(c.Type(), c.Source())
	}
	// Output:
	// markdown # Title
	// code x = 1
}

// Outputs stay where the source of a cell is the same.
func ExampleKeep() {
	before := nbformat.New(nbformat.NewCell("code", "1 + 1"), nbformat.NewCell("code", "2 + 2"))
	for _, c := range before.Cells() {
		c.Value().Set("execution_count", nbformat.IntValue(7))
	}
	d, err := jupytext.FromPercent([]byte("# %%\n1 + 1\n\n# %%\n3 + 3\n"), jupytext.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	jupytext.Keep(d, before)
	for _, c := range d.Cells() {
		fmt.Println(c.Source(), c.Count())
	}
	// Output:
	// 1 + 1 7
	// 3 + 3 0
}
