// Package jupyter makes our kernel and its extension known to Jupyter, and takes them away again, in the places where
// `jupyter kernelspec install` puts kernels.
//
// Read [Place] and [Install]. It imports kernel/kernelspec, jupyter-ext/labextension and internal/atomicfile.
package jupyter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/jupyter-ext/labextension"
	"github.com/metaml/metaml/kernel/kernelspec"
)

// Place is where a kernel is to be: below Prefix, in the environment of Python, or else with the user's own.
type Place struct {
	Prefix string                       // DIR/share/jupyter
	Python string                       // path of an interpreter, whose environment it is; "" is none
	Name   string                       // of the kernel, which its folder has
	Getenv func(variable string) string // the environment
}

// Folder is the kernelspec's folder.
func (p Place) Folder() (string, error) {
	switch {
	case p.Prefix != "":
		dir, err := filepath.Abs(p.Prefix)
		return filepath.Join(dir, "share", "jupyter", "kernels", p.Name), err
	case p.Python != "":
		// A venv's python is a link; its prefix is the folder above the link's own.
		return filepath.Join(filepath.Dir(filepath.Dir(p.Python)), "share", "jupyter", "kernels", p.Name), nil
	}
	if dir := p.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return filepath.Join(dir, "kernels", p.Name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home folder: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Jupyter", "kernels", p.Name), nil
	}
	data := p.Getenv("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "jupyter", "kernels", p.Name), nil
}

// Install writes the kernelspec of the program kernel, for the interpreter python, and the extension of JupyterLab
// beside it. It gives the kernelspec's folder.
func Install(p Place, kernel, python, display string) (string, error) {
	dir, err := p.Folder()
	if err != nil {
		return "", err
	}
	spec := kernelspec.JSON([]string{kernel, "-f", "{connection_file}", "--python", python}, display)
	if err := write(filepath.Join(dir, kernelspecFile), spec); err != nil {
		return "", err
	}
	for name, content := range labextension.Files(metaml.Version()) {
		if err := write(filepath.Join(extensionFolder(dir), filepath.FromSlash(name)), content); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Uninstall removes what Install wrote, the extension with the last of our kernels beside it. It gives the folders that
// it removed.
func Uninstall(p Place) (removed []string, err error) {
	dir, err := p.Folder()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, kernelspecFile)); err != nil {
		return nil, &usererror.Error{Code: usererror.CodeNotFound, Text: "there is no kernelspec in " + dir}
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove the kernelspec: %w", err)
	}
	removed = []string{dir}
	gone, err := removeExtension(dir)
	if gone {
		removed = append(removed, extensionFolder(dir))
	}
	return removed, err
}

const kernelspecFile = "kernel.json"

// extensionFolder is where JupyterLab and Notebook 7 look for our extension, beside the kernels of a kernelspec's
// folder.
func extensionFolder(kernel string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(kernel)), "labextensions", labextension.Name)
}

// write puts a file for Jupyter in its place, whole.
func write(path string, content []byte) error {
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
