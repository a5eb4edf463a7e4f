package main

import (
	"maps"
	"slices"

	"github.com/metaml/metaml/kernel/kernelspec"
)

// kernelspecFiles are the files of share/jupyter/kernels/metaml. Jupyter puts
// the folder of kernel.json in the place of {resource_dir}, so that the kernel
// is found from the environment's prefix, activated or not.
func kernelspecFiles() []entry {
	files := kernelspec.Files(nil, "")
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, entry{path: name, data: files[name]})
	}
	return entries
}
