package resolve

import (
	"os/exec"
	"path/filepath"

	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// Find gives the path of uv: of the one that is named, which no other takes the place of, else of the one on the
// PATH of the variables, or beside the interpreter python.
func Find(named, python string, variables []string) (string, error) {
	if named != "" {
		if path, err := exec.LookPath(named); err == nil {
			return path, nil
		}
		return "", usererror.New(usererror.CodeUV, "there is no uv at %s, which --uv names", named)
	}
	folders := filepath.SplitList(environ.Get(variables, "PATH"))
	if python != "" {
		folders = append(folders, filepath.Dir(python))
	}
	for _, folder := range folders {
		if !filepath.IsAbs(folder) {
			continue // what lies in the current folder is not what people mean
		}
		if path, err := exec.LookPath(filepath.Join(folder, "uv")); err == nil {
			return path, nil
		}
	}
	return "", usererror.New(usererror.CodeUV, "an image of this environment is made with uv, and there is none").
		With("Install it: pip install uv. Or name an image that has the packages: --image IMAGE.")
}
