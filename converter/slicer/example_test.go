package slicer_test

import (
	"context"
	"fmt"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
)

func ExampleOf() {
	notebook := &session.Document{V: 1, Kind: session.Saved, Cells: []session.Cell{
		{Seq: 1, Source: "import math\nimport random"},
		{Seq: 2, Source: "scale = 2\nprint(scale)"},
		{Seq: 3, Source: "%%train\ndef area(radius=1.0):\n    return scale * math.pi * radius"},
	}}
	slice, err := slicer.Of(context.Background(), notebook, slicer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range slice.Statements {
		fmt.Printf("cell %d, line %d: defines %v\n", s.Cell, s.Line, s.Defines)
	}
	fmt.Println(slice.Summary())
	// Output:
	// cell 1, line 1: defines [math]
	// cell 2, line 1: defines [scale]
	// cell 3, line 2: defines [area]
	// ran from cells 1, 2 and 3 · 4 lines
}
