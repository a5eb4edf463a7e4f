// Package beside finds MetaML's other binaries: they are installed in one folder, so each searches beside itself first,
// through symbolic links, and then on PATH. Commands use it; it imports the standard library alone.
package beside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Find gives the path of the binary called name. The error says where it was searched for.
func Find(name string) (string, error) {
	var tried []string
	if self, err := os.Executable(); err == nil {
		folders := []string{filepath.Dir(self)}
		if real, err := filepath.EvalSymlinks(self); err == nil && filepath.Dir(real) != folders[0] {
			folders = append(folders, filepath.Dir(real))
		}
		for _, folder := range folders {
			path := filepath.Join(folder, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
			tried = append(tried, folder)
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "",
		fmt.Errorf("cannot find %s: looked in %s and on PATH; install MetaML again, its binaries belong in one folder",
			name, strings.Join(tried, ", "))
}
