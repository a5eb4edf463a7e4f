// Command darwinstubs writes the linker stubs that a macOS binary needs when it
// is linked on another system: the names of the few functions that Go's
// standard library takes from CoreFoundation, Security and libresolv. Apple's
// SDK has them in .tbd files; these here are made from Go's own sources, whose
// cgo_import_dynamic lines name every function and its library. libSystem comes
// with zig.
//
// Read stubs.go first. The command is used by tools/release alone and imports
// the standard library.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: darwinstubs GOROOT FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "darwinstubs:", err)
		os.Exit(1)
	}
}

// write puts FOLDER/lib/NAME.tbd and FOLDER/frameworks/NAME.framework/NAME.tbd
// where the linker's -L and -F find them.
func write(goroot, folder string) error {
	libraries, err := scan(os.DirFS(filepath.Join(goroot, "src")))
	if err != nil {
		return err
	}
	for _, library := range libraries {
		path := filepath.Join(folder, filepath.FromSlash(library.stub()))
		//nolint:gosec // G301: a folder of results, readable like the rest of the clone
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make a folder for stubs: %w", err)
		}
		//nolint:gosec // G306: stubs are for everyone to read
		if err := os.WriteFile(path, []byte(library.text()), 0o644); err != nil {
			return fmt.Errorf("write a stub: %w", err)
		}
	}
	return nil
}
