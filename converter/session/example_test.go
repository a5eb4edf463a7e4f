package session_test

import (
	"fmt"

	"github.com/metaml/metaml/converter/session"
)

// A saved notebook becomes a document of its code cells, in their order.
func ExampleFromNotebook() {
	doc, err := session.FromNotebook([]byte(`{
		"nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}},
		"cells": [
			{"cell_type": "markdown", "source": "# Training"},
			{"cell_type": "code", "source": "rate = 0.1", "execution_count": 1},
			{"cell_type": "code", "source": "%%train\ndef train(): ...", "execution_count": 2}
		]
	}`), "digits.ipynb")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range doc.Cells {
		fmt.Printf("[%d] %q\n", c.Count, c.Source)
	}
	// Output:
	// [1] "rate = 0.1"
	// [2] "%%train\ndef train(): ..."
}
