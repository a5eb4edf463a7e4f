package pod

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// UsesOutput reports whether the code of a program, in a folder, mentions metaml.output() or checkpoint().
func UsesOutput(code string) bool {
	data, err := os.ReadFile(filepath.Join(code, "program.json"))
	var is struct {
		UsesOutput bool `json:"uses_output"`
	}
	return err == nil && json.Unmarshal(data, &is) == nil && is.UsesOutput
}
