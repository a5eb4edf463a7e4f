package kernelspec

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

func TestDefaultsStartTheKernelOfTheSpecsPrefix(t *testing.T) {
	var spec struct {
		Argv     []string
		Display  string `json:"display_name"`
		Metadata struct{ Debugger bool }
	}
	if err := json.Unmarshal(JSON(nil, ""), &spec); err != nil {
		t.Fatal(err)
	}
	const folder = "/prefix/share/jupyter/kernels/metaml"
	got := filepath.Clean(folder + spec.Argv[0][len("{resource_dir}"):])
	if got != "/prefix/bin/metaml-kernel" || spec.Display != "Python (MetaML)" || !spec.Metadata.Debugger {
		t.Errorf("spec is %+v, its program %s", spec, got)
	}
}
