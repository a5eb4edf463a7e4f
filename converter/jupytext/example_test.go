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
