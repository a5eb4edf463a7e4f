package main

import (
	"encoding/json"
	"fmt"
)

// kernelspecFiles are the files of share/jupyter/kernels/metaml. Jupyter puts
// the folder of kernel.json in the place of {resource_dir}, so that the kernel
// is found from the environment's prefix, activated or not.
func kernelspecFiles() ([]entry, error) {
	spec, err := json.MarshalIndent(map[string]any{
		"argv":                    []string{"{resource_dir}/../../../../bin/metaml-kernel", "-f", "{connection_file}"},
		"display_name":            "MetaML",
		"language":                "python",
		"interrupt_mode":          "message",
		"kernel_protocol_version": "5.5",
		"metadata":                map[string]any{"debugger": true},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write kernel.json: %w", err)
	}
	return []entry{{path: "kernel.json", data: append(spec, '\n')}}, nil
}
