package resolve

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

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

// Version asks a uv which one it is: "uv 0.13.9".
func Version(ctx context.Context, path string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 2 || words[0] != "uv" {
		return "", usererror.Wrap(err, usererror.CodeUV, path+" does not say which uv it is",
			"Name another: --uv PATH.")
	}
	return strings.Join(words[:2], " "), nil
}

// patience is how long a program may take to say its version.
const patience = 10 * time.Second
