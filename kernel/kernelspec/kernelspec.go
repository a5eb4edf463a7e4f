// Package kernelspec is the kernel.json of MetaML's kernel, for `metaml install` and
// the wheel alike. Read [JSON]; it imports the standard library alone.
package kernelspec

import (
	_ "embed" // for the logo
	"encoding/json"
	"fmt"
)

// Name is the kernelspec's folder and the kernel's name.
const Name = "metaml"

// DisplayName is what front ends show.
const DisplayName = "Python (MetaML)"

// Argv starts the metaml-kernel of the prefix that the kernelspec is in: the spec's
// folder is PREFIX/share/jupyter/kernels/metaml.
func Argv() []string {
	return []string{"{resource_dir}/../../../../bin/metaml-kernel", "-f", "{connection_file}"}
}

// Logo is logo-svg.svg, a file beside kernel.json.
//
//go:embed logo-svg.svg
var Logo []byte

// Files are the kernelspec's files by name, for argv and displayName; empty values
// mean Argv and DisplayName.
func Files(argv []string, displayName string) map[string][]byte {
	return map[string][]byte{"kernel.json": JSON(argv, displayName), "logo-svg.svg": Logo}
}

// JSON is the kernel.json.
//
// interrupt_mode is "signal", ipykernel's own: the server sends SIGINT to the process
// group, which reaches the wrapped kernel, what its cells started (`!sleep`) and us.
// With "message" only ipykernel's process would be interrupted, because it does not
// lead the group. The metadata does not name supported_encryption: we have no CurveZMQ.
func JSON(argv []string, displayName string) []byte {
	if len(argv) == 0 {
		argv = Argv()
	}
	if displayName == "" {
		displayName = DisplayName
	}
	spec := struct {
		Argv      []string       `json:"argv"`
		Display   string         `json:"display_name"`
		Language  string         `json:"language"`
		Interrupt string         `json:"interrupt_mode"`
		Metadata  map[string]any `json:"metadata"`
		Protocol  string         `json:"kernel_protocol_version"`
	}{argv, displayName, "python", "signal", map[string]any{"debugger": true}, "5.5"}
	out, err := json.MarshalIndent(spec, "", " ")
	if err != nil {
		panic(fmt.Sprintf("kernelspec: strings and booleans are JSON: %v", err))
	}
	return append(out, '\n')
}
