// Package librarylog keeps libraries from logging while a program starts: the one that counts for /metrics says on
// standard error of each process, and of each pod, that its machine has no pressure figures, which is no news to
// anybody.
//
// Packages are initialized in the order of their paths, as far as what they import is (Go specification, "Program
// initialization"), and this one imports the standard library alone: so it comes before that library, which needs
// another. It imports nothing of ours.
package librarylog

import (
	"io"
	"log"
	"os"
)

func init() { log.SetOutput(io.Discard) }

// Go lets libraries log again.
func Go() { log.SetOutput(os.Stderr) }
