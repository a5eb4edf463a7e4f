package nbformat_test

import (
	"errors"
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

func ExampleParse() {
	document, err := nbformat.Parse([]byte(`{"cells": [
  {"cell_type": "code", "source": ["rate = 0.1\n", "train(rate)"], "outputs": [], "metadata": {}}
], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(document.Metadata().Get("kernelspec").Get("name").Text())
	cell := document.Cells()[0]
	cell.SetSource(strings.Replace(cell.Source(), "0.1", "0.2", 1))
	fmt.Printf("%s", document.Bytes())
	// Output:
	// python3
	// {"cells": [
	//   {"cell_type": "code", "source": ["rate = 0.2\n", "train(rate)"], "outputs": [], "metadata": {}}
	// ], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4}
}

func ExampleNew() {
	document := nbformat.New()
	ids := 0
	document.NewID = func() string { ids++; return fmt.Sprint("cell-", ids) }
	if err := document.SetCells([]*nbformat.DocumentCell{nbformat.NewCell("markdown", "# Title\ntext")}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", document.Bytes())
	// Output:
	// {
	//  "cells": [
	//   {
	//    "cell_type": "markdown",
	//    "id": "cell-1",
	//    "metadata": {},
	//    "source": [
	//     "# Title\n",
	//     "text"
	//    ]
	//   }
	//  ],
	//  "metadata": {},
	//  "nbformat": 4,
	//  "nbformat_minor": 5
	// }
}

func ExampleDocument_Validate() {
	document, err := nbformat.Parse([]byte(`{"cells": [{"cell_type": "raw", "id": "a", "metadata": {}, "source": 1}],
		"metadata": {}, "nbformat": 4, "nbformat_minor": 5}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range document.Validate() {
		fmt.Println(problem)
	}
	// Output:
	// cell 1 (/cells/0/source): it is a JSON number, not a string or a list
}

func ExampleDocument_Upgrade() {
	document, err := nbformat.Parse([]byte(`{"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
		"worksheets": [{"cells": [
			{"cell_type": "heading", "level": 2, "source": "Results"}, {"cell_type": "code", "input": "1 + 1"}
		]}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, warning := range document.Upgrade() {
		fmt.Println(warning)
	}
	fmt.Println(document.Version())
	for _, cell := range document.Cells() {
		fmt.Println(cell.Type(), cell.Source())
	}
	// Output:
	// cell 2 (/worksheets/0/cells/1): it had no "outputs"
	// 4 5
	// markdown ## Results
	// code 1 + 1
}

// Messages about a line of a cell can name the line of the file, where editors and pull requests show it.
func ExampleLocate() {
	notebook, places, err := nbformat.Locate(strings.NewReader(`{
 "cells": [
  {
   "cell_type": "code",
   "source": [
    "a = 1\n",
    "b ="
   ]
  }
 ],
 "nbformat": 4
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q begins in line %d\n", notebook.Cells[0].Source, places[0].Cell)
	fmt.Println("its second line stands in line", places[0].Lines[1])
	// Output:
	// "a = 1\nb =" begins in line 3
	// its second line stands in line 7
}

func ExampleReadLean() {
	_, text, err := nbformat.ReadLean(strings.NewReader(
		`{"cells": [{"cell_type": "code", "source": "a", "outputs": [{"data": "large"}]}], "nbformat": 4}`))
	fmt.Println(string(text), err)
	// Output:
	// {"cells": [{"cell_type": "code", "source": "a", "outputs": []}], "nbformat": 4} <nil>
}

// An error says where the file is broken.
func ExampleError() {
	_, err := nbformat.Read(strings.NewReader("{\"cells\": [\n{\"cell_type\": code}"))
	if broken, ok := errors.AsType[*nbformat.Error](err); ok {
		fmt.Println(broken.Offset, broken.Line, broken.Column)
		fmt.Println(broken)
	}
	// Output:
	// 26 2 15
	// this is not a notebook: byte 26 (line 2, column 15) is not JSON: a value is expected, not 'c'
}
