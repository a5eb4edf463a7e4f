// Package metaml holds MetaML's version, and nothing else: the text of the
// file VERSION beside it, which the Makefile, the wheel and every binary read.
// It imports nothing of ours, so any package may import it. Start with
// docs/README.md to see which package does what.
package metaml

import (
	_ "embed" // for VERSION
	"strings"
)

//go:embed VERSION
var version string

// Version is this release's version, such as "0.1.0".
func Version() string { return strings.TrimSpace(version) }
