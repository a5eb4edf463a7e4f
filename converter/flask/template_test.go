package flask

import (
	"maps"
	"slices"
	"testing"

	"github.com/metaml/metaml/converter/syntax"
)

// TestPartsAreKnown: every part that an application may get is in the part files, and is Python whichever of its
// conditions hold.
func TestPartsAreKnown(t *testing.T) {
	want := slices.Concat(readers, []string{
		"app", "read_input", "fields_of", "to_json", "step_by_step", "respond", "stream", "refused", "failed",
		"healthz", "metaml_model_of_run",
	})
	for _, n := range standIns {
		want = append(want, "metaml_"+n)
	}
	slices.Sort(want)
	if have := slices.Sorted(maps.Keys(read().definitions)); !slices.Equal(have, want) {
		t.Fatalf("the files define %q, want %q", have, want)
	}
	names := []string{"fields", "other", "response", "json", "text", "bytes", "plain", "arrays", "models", "classes"}
	for part, text := range read().definitions {
		t.Run(part, func(t *testing.T) {
			for choice := range 1 << len(names) {
				hold := conditions{}
				for i, name := range names {
					hold[name] = choice>>i&1 == 1
				}
				if tree, err := syntax.Parse(selected(text, hold)); err != nil || tree.ErrorAt > 0 {
					t.Fatalf("with %v: %v\n%s", hold, err, selected(text, hold))
				}
				if selected(text, hold) == text {
					break // it has no conditions
				}
			}
		})
	}
}
