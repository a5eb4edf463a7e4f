package nbformat_test

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

func ExampleRead() {
	notebook, err := nbformat.Read(strings.NewReader(`{
		"nbformat": 4, "nbformat_minor": 5,
		"metadata": {"language_info": {"name": "python", "version": "3.12.1"}},
		"cells": [
			{"cell_type": "code", "execution_count": 7, "metadata": {}, "outputs": [], "source": ["a = 1\n", "a"]}
		]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(notebook.Language, notebook.Version)
	for _, cell := range notebook.Cells {
		fmt.Printf("[%d] %q\n", cell.Count, cell.Source)
	}
	// Output:
	// python 3.12.1
	// [7] "a = 1\na"
}
