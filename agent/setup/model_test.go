package setup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/test/packed"
)

// A server's model comes in parts, or whole, or not at all.
func TestUnpackModel(t *testing.T) {
	archive := packed.Files(t, map[string]string{"deep/weights": "heavy"})
	inParts := map[string][]byte{}
	for piece := range slices.Chunk(archive, len(archive)/11) { // part 10 comes after part 9, not after part 1
		inParts[pod.ModelPart(len(inParts))] = piece
	}
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string // of the file; "": there is no model
		fails bool
	}{
		{"parts", inParts, "heavy", false},
		{"whole", map[string][]byte{pod.ModelName: archive}, "heavy", false},
		{"none", nil, "", false},
		{"cut off", map[string][]byte{pod.ModelName: archive[:len(archive)/2]}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, to := Input{Dir: t.TempDir()}, filepath.Join(t.TempDir(), "model")
			for name, data := range c.files {
				if err := os.WriteFile(filepath.Join(in.Dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := in.UnpackModel(to); (err != nil) != c.fails {
				t.Fatalf("the error is %v", err)
			}
			data, err := os.ReadFile(filepath.Join(to, "deep", "weights"))
			if string(data) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("it has %q, %v", data, err)
			}
		})
	}
}
