package requirements

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/lazyregexp"
	"github.com/metaml/metaml/internal/usererror"
)

// Declaration is the inline metadata that a script or a cell of a notebook already has (PEP 723). A script may have it
// once: what [Set.Inline] gives takes its place.
type Declaration struct {
	Start, End   int      // of the block in the source, in bytes from 0, with the end of its last line
	Python       string   // requires-python, such as ">=3.11"
	Dependencies []string // PEP 508
}

// declared is PEP 723's expression, for its type "script".
var declared = lazyregexp.New(`(?m)^# /// script\r?$\n((?:^#(?:| .*)\r?$\n)+)^# ///\r?$\n?`)

// Declared finds the inline metadata of a source; nil if it has none.
func Declared(source string) (*Declaration, error) {
	found := declared.FindStringSubmatchIndex(source)
	if found == nil {
		return nil, nil //nolint:nilnil // none is no error
	}
	line := 1 + strings.Count(source[:found[0]], "\n")
	if more := declared.FindStringIndex(source[found[1]:]); more != nil {
		again := 1 + strings.Count(source[:found[1]+more[0]], "\n")
		return nil, usererror.New(usererror.CodeRequirements,
			"inline metadata stands twice, in line %d and line %d", line, again).
			With("A script may have it once: make one block of them.")
	}
	var content strings.Builder
	for text := range strings.Lines(source[found[2]:found[3]]) {
		text = strings.TrimPrefix(strings.TrimSuffix(strings.TrimRight(text, "\n"), "\r"), "#")
		content.WriteString(strings.TrimPrefix(text, " ") + "\n")
	}
	var read struct {
		Python       string   `toml:"requires-python"`
		Dependencies []string `toml:"dependencies"`
	}
	if err := toml.Unmarshal([]byte(content.String()), &read); err != nil {
		return nil, usererror.Wrap(err, usererror.CodeRequirements,
			fmt.Sprintf("the inline metadata in line %d cannot be read: %v", line, err),
			"It is TOML, as PEP 723 has it.")
	}
	return &Declaration{found[0], found[1], read.Python, read.Dependencies}, nil
}
