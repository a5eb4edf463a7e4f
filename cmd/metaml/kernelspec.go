package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/jupyter-ext/labextension"
)

// where is a place for kernelspecs, as `jupyter kernelspec install` has them.
type where struct {
	user, sysPrefix      bool
	prefix, name, python string
}

func (w *where) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.user, "user", false, "for this user (the default)")
	c.Flags().BoolVar(&w.sysPrefix, "sys-prefix", false, "into the environment of --python, or of the active one")
	c.Flags().StringVar(&w.prefix, "prefix", "", "into DIR/share/jupyter")
	c.Flags().StringVar(&w.name, "name", "metaml", "the kernel's name, which its folder has")
	c.MarkFlagsMutuallyExclusive("user", "sys-prefix", "prefix")
}

// folder is the kernelspec's folder.
func (a *app) kernelFolder(w where) (string, error) {
	switch {
	case w.prefix != "":
		dir, err := filepath.Abs(w.prefix)
		return filepath.Join(dir, "share", "jupyter", "kernels", w.name), err
	case w.sysPrefix:
		python, err := a.launcher().FindPython(w.python)
		if err != nil {
			return "", err
		}
		// A venv's python is a link; its prefix is the folder above the link's own.
		return filepath.Join(filepath.Dir(filepath.Dir(python)), "share", "jupyter", "kernels", w.name), nil
	}
	if dir := a.getenv("JUPYTER_DATA_DIR"); dir != "" {
		return filepath.Join(dir, "kernels", w.name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home folder: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Jupyter", "kernels", w.name), nil
	}
	data := a.getenv("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "jupyter", "kernels", w.name), nil
}

const kernelspecFile = "kernel.json"

// extensionFolder is where JupyterLab and Notebook 7 look for our extension, beside the kernels of a kernelspec's
// folder.
func extensionFolder(kernel string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(kernel)), "labextensions", labextension.Name)
}

// writeFile puts a file for Jupyter in its place, whole.
func writeFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	//nolint:gosec // G301: kernelspecs are for everyone to read, as Jupyter's are
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usererror.Wrap(err, usererror.CodeInstall, fmt.Sprintf("cannot make %s: %s", dir, errors.Unwrap(err)),
			"Choose another place: --user, --sys-prefix or --prefix DIR.")
	}
	return atomicfile.Write(path, content, 0o644)
}

// removeExtension removes our extension when the last of our kernels beside it has gone, and says whether it did.
func removeExtension(kernel string) (bool, error) {
	specs, err := filepath.Glob(filepath.Join(filepath.Dir(kernel), "*", kernelspecFile))
	if err != nil {
		return false, fmt.Errorf("look for other kernels: %w", err)
	}
	for _, path := range specs {
		content, err := os.ReadFile(path)
		if err != nil || bytes.Contains(content, []byte("metaml-kernel")) {
			return false, nil //nolint:nilerr // one that cannot be read may be ours
		}
	}
	dir := extensionFolder(kernel)
	if _, err := os.Stat(dir); err != nil {
		return false, nil //nolint:nilerr // installed before there was one
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove JupyterLab's extension: %w", err)
	}
	_ = os.Remove(filepath.Dir(dir)) // others may have theirs in it
	return true, nil
}
