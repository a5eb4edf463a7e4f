// Command podbinary compresses a program as it travels to a cluster: `podbinary FILE` writes FILE.gz and removes FILE.
// The same file gives the same bytes everywhere, since they are made by a compressor in Go, of the version in go.mod.
// It makes 4 to 13 kB less than the standard library's; metaml-pod has 38 left to its two parts (deployer/pod/ship).
//
// FILE.gz has two members (RFC 1952), each with half of FILE. The extra field of each, with the identification ML, has
// its length in four bytes, the lowest first, so that a pod finds the second without the first and unpacks both at once
// (deployer/pod/start.py).
//
// tools/build-programs uses it; it imports the compressor alone.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/klauspost/compress/gzip"
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
	packed, err := member(data[:len(data)/2])
	if err != nil {
		return fmt.Errorf("compress %q: %w", path, err)
	}
	second, err := member(data[len(data)/2:])
	if err != nil {
		return fmt.Errorf("compress %q: %w", path, err)
	}
	packed = append(packed, second...)
	if err := os.WriteFile(path+".gz", packed, 0o644); err != nil { //nolint:gosec // G306: read by every user
		return fmt.Errorf("write the compressed program: %w", err)
	}
	return os.Remove(path)
}

// member compresses data into one member that says how long it is.
func member(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w.Extra = []byte{'M', 'L', 4, 0, 0, 0, 0, 0}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	const at = 16 // a header of 10 bytes, the length of the extra field in 2, its identification and length in 4
	binary.LittleEndian.PutUint32(packed.Bytes()[at:], uint32(packed.Len()))
	return packed.Bytes(), nil
}
