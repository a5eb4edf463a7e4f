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

// The cell with the tag "parameters" becomes the script's command line.
func ExampleOptions() {
	nb := &nbformat.Notebook{Cells: []nbformat.Cell{
		{Type: "code", Source: "rate = 0.1  # learning rate", Tags: []string{"parameters"}},
		{Type: "code", Source: "print(rate)"},
	}}
	s, err := script.Of(context.Background(), nb, script.Options{Name: "train", Parameters: true, Percent: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(s.Text)
	// Output:
	// # Made by metaml-nbconvert from a notebook.
	//
	// import argparse as _metaml_argparse
	//
	// _metaml_options = _metaml_argparse.ArgumentParser(argument_default=_metaml_argparse.SUPPRESS)
	// _metaml_options.add_argument("--rate", dest="rate", type=float, help="learning rate (default: 0.1)")
	// _metaml_given = vars(_metaml_options.parse_args())
	//
	// # %%
	// rate = 0.1  # learning rate
	// rate = _metaml_given.get("rate", rate)
	//
	// # %%
	// print(rate)
}

// The lines of a script know from which line of which cell they are.
func ExampleScript_Insert() {
	nb := &nbformat.Notebook{Cells: []nbformat.Cell{{Type: "code", Source: "a = 1\nb = 2"}}}
	s, err := script.Of(context.Background(), nb, script.Options{Source: "a.ipynb"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Insert("# /// script\n# dependencies = []\n# ///\n")
	fmt.Print(s.Text)
	last := s.Lines[len(s.Lines)-1]
	fmt.Printf("line %d is line %d of cell %d\n", last.Script, last.Line, last.Cell)
	// Output:
	// # Made by metaml-nbconvert from a.ipynb.
	// # /// script
	// # dependencies = []
	// # ///
	//
	// # Cell 1
	// a = 1
	// b = 2
	// line 8 is line 2 of cell 1
}
