package ipython_test

import (
	"fmt"

	"github.com/metaml/metaml/converter/ipython"
)

func ExampleTransform() {
	cell := "%%train --completions 3\n%env DEVICE=cpu\nhere = %pwd"
	result := ipython.Transform(cell, ipython.Options{})
	fmt.Println("magic:", result.Ours)
	fmt.Print(result.Code)
	// Output:
	// magic: train
	//
	// __import__('os').environ['DEVICE'] = 'cpu'
	// here = __import__('os').getcwd()
}
