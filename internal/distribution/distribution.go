// Package distribution has the rules for names and versions of Python's distributions: PEP 503, 508 and 440. It does no
// I/O, imports the standard library alone, and every package may import it.
package distribution

import (
	"strings"

	"github.com/metaml/metaml/internal/lazyregexp"
)

var separators = lazyregexp.New(`[-_.]+`)

// Normalize gives a name as an index knows it (PEP 503).
func Normalize(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

var name = lazyregexp.New(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// IsName reports whether a text may be a name (PEP 508).
func IsName(text string) bool { return name.MatchString(text) }

var version = lazyregexp.New(`(?i)^v?(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?` +
	`(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?$`)

// IsVersion reports whether a text is a version that can be asked of an index (PEP 440).
func IsVersion(text string) bool { return version.MatchString(text) }
