package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/talk"
)

// look is how a value looks: one of its repr, its shape and dtype, or its type (docs/internals/protocols.md §2).
type look struct {
	Repr  string `json:"repr,omitempty"`
	Shape *[]int `json:"shape,omitempty"` // that of a single number is there, and empty
	Dtype string `json:"dtype,omitempty"`
	Type  string `json:"type,omitempty"`
}

// describeValues requests how the names look that the program's statements define, so that the loader can see what came
// out otherwise.
func describeValues(ctx context.Context, p answers, statements []slicer.Statement) (map[string]look, error) {
	var names []string
	for _, s := range statements {
		if s.Origin != "with" && s.Origin != "model" { // a shipped value is the session's own, a model's class is not
			names = append(names, s.Defines...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil, nil
	}
	noSizes := false
	described, err := describe(ctx, p, talk.Need{Describe: names, Sizes: &noSizes})
	if err != nil {
		return nil, err
	}
	values := map[string]look{}
	for name, n := range described {
		switch {
		case n.Kind != "value":
		case n.Repr != "":
			values[name] = look{Repr: n.Repr}
		case n.Shape != nil:
			values[name] = look{Shape: &n.Shape, Dtype: n.Dtype}
		default:
			values[name] = look{Type: n.Type}
		}
	}
	return values, nil
}

// writeExpected keeps the looks beside the program's code.
func writeExpected(dir string, expected map[string]look) error {
	if len(expected) == 0 {
		return nil
	}
	data, err := json.Marshal(expected)
	if err != nil {
		return fmt.Errorf("write how the names look: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, folder.ExpectedName), data, 0o600)
}
