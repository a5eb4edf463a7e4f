package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/talk"
)

// expected is expected.json: what the values of the session are by which the program can be compared with it
// (docs/internals/protocols.md §2).
type expected struct {
	V           int                 `json:"v"`
	Environment json.RawMessage     `json:"environment"` // what numbers' last digits depend on
	Values      map[string]*content `json:"values"`
	Seeded      map[string]int      `json:"seeded,omitempty"` // library → line of main.py that seeds it first

	without []string // names that the entry may read and that are not compared, each with the reason
}

// content is what the session said of one value, with what is known of how it was made.
type content struct {
	said    map[string]json.RawMessage
	Lines   [][2]int // of main.py, first and last: the statements that it is made by
	LeftOut *slicer.LeftOut
}

// MarshalJSON writes both as one object.
func (c *content) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(c.said)+2)
	for name, v := range c.said {
		out[name] = v
	}
	if len(c.Lines) > 0 {
		out["lines"] = c.Lines
	}
	if o := c.LeftOut; o != nil {
		out["left_out"] = map[string]string{"place": o.Place, "statement": o.Text}
	}
	return json.Marshal(out)
}

// describeValues requests what the values are that the entry may read, so that the loader can see what came out
// otherwise.
func describeValues(
	ctx context.Context, p answers, slice *slicer.Slice, lines []program.MapLine,
) (*expected, error) {
	byName := map[string]*slicer.Check{}
	var names []string
	for i := range slice.Checks {
		if c := &slice.Checks[i]; !c.Chance {
			byName[c.Name] = c
			names = append(names, c.Name)
		}
	}
	out := &expected{V: 2, Values: map[string]*content{}}
	for i := range slice.Checks {
		if c := &slice.Checks[i]; c.Chance {
			out.without = append(out.without, c.Name+": it is another value each time")
		}
	}
	if len(names) == 0 {
		return out, nil
	}
	have, err := p.ask(ctx, talk.Need{Values: names})
	if err != nil || have.Values == nil {
		return nil, err
	}
	scripts := map[[2]int]int{}
	for _, l := range lines {
		scripts[[2]int{l.Cell, l.Line}] = l.Script
	}
	out.Environment = have.Values.Environment
	for library, place := range slice.SeededAt {
		if at := scripts[[2]int{place.Cell, place.Line}]; at > 0 {
			if out.Seeded == nil {
				out.Seeded = map[string]int{}
			}
			out.Seeded[library] = at
		}
	}
	for name, said := range have.Values.Values {
		c := &content{}
		if err := json.Unmarshal(said, &c.said); err != nil {
			return nil, fmt.Errorf("describe the value of %s: %w", name, err)
		}
		check := byName[name]
		if check == nil || check.Import && !plain(c.said) {
			continue
		}
		if c.said["opaque"] != nil {
			var kind string
			if err := json.Unmarshal(c.said["type"], &kind); err != nil {
				return nil, fmt.Errorf("describe the value of %s: %w", name, err)
			}
			out.without = append(out.without, fmt.Sprintf("%s: %s has no content that can be compared", name, kind))
		}
		c.LeftOut = check.Out
		for _, n := range check.Needs {
			c.Lines = appendLines(c.Lines, n, scripts)
		}
		out.Values[name] = c
	}
	return out, nil
}

// Without gives the names that the entry may read and that are not compared with the session's, each with the reason.
func (e *expected) Without() []string {
	if e == nil {
		return nil
	}
	return slices.Sorted(slices.Values(e.without))
}

// appendLines adds the lines of main.py that a statement has.
func appendLines(lines [][2]int, n slicer.Place, scripts map[[2]int]int) [][2]int {
	for line := n.Line; line <= n.EndLine; line++ {
		at := scripts[[2]int{n.Cell, line}]
		switch last := len(lines) - 1; {
		case at == 0:
		case last >= 0 && lines[last][1] == at-1:
			lines[last][1] = at
		default:
			lines = append(lines, [2]int{at, at})
		}
	}
	return lines
}

// plain says that a value is data: what else an import gives may be another object that does the same.
func plain(said map[string]json.RawMessage) bool {
	return said["repr"] != nil || said["size"] != nil || said["shape"] != nil
}

// writeExpected keeps them beside the program's code.
func writeExpected(dir string, expected *expected) error {
	if expected == nil || len(expected.Values) == 0 {
		return nil
	}
	data, err := json.Marshal(expected)
	if err != nil {
		return fmt.Errorf("write what the session's values are: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, folder.ExpectedName), data, 0o600)
}
