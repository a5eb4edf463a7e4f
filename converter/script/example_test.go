package script_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/script"
)

// A notebook becomes a script; what runs in a notebook only is refused by cell and line.
func ExampleOf() {
	nb, err := nbformat.Read(strings.NewReader(`{"cells": [
		{"cell_type": "markdown", "metadata": {}, "source": "# Sums"},
		{"cell_type": "code", "metadata": {}, "outputs": [], "source": "%matplotlib inline\nprint(sum([1, 2]))"},
		{"cell_type": "code", "metadata": {}, "outputs": [], "source": "%R x <- 1"}
	], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := script.Of(context.Background(), nb, script.Options{Name: "sums", Source: "sums.ipynb", KeepGoing: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, refused := range s.Refused {
		fmt.Println(refused)
	}
	text, _, _ := strings.Cut(s.Text, "raise ")
	fmt.Print(text)
	// Output:
	// cell 2, line 1: %R runs in a notebook only. Call rpy2.robjects.r(code).
	// # Made by metaml-nbconvert from sums.ipynb.
	//
	// # # Sums
	//
	// # Cell 1
	// # %matplotlib inline
	// print(sum([1, 2]))
	//
	// # Cell 2
}
