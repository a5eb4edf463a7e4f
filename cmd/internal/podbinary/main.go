// Command podbinary compresses metaml-pod as it travels to a cluster: `podbinary FILE` writes FILE.gz and removes FILE.
// The same file gives the same bytes everywhere, since Go's own compressor makes them.
//
// tools/build-programs uses it; it imports the standard library alone.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: podbinary FILE")
		os.Exit(2)
	}
	if err := compress(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "podbinary:", err)
		os.Exit(1)
	}
}

func compress(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("compress %q: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("compress %q: %w", path, err)
	}
	if err := os.WriteFile(path+".gz", packed.Bytes(), 0o644); err != nil { //nolint:gosec // G306: read by every user
		return fmt.Errorf("write the compressed program: %w", err)
	}
	return os.Remove(path)
}
