// Command wheel packs MetaML's Python wheel: the metaml module, the binaries, the kernelspec and JupyterLab's extension
// in one zip file that pip installs by itself, laid out as Ruff's and uv's are (the binaries in NAME.data/scripts). The
// programs that pods execute come for every architecture of Linux, in a wheel for a Mac too. The same inputs give the
// same bytes.
//
// Read wheel.go first, it says what goes where. The command is used by the Makefile, by tools/release and by the build
// backend in tools/backend, and may import the version and the packages of the kernelspec, the extension and the pods.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/internal/atomicfile"
)

// inputs are what a wheel is made of.
type inputs struct {
	bin     string // folder with the built binaries
	module  string // folder that holds the Python package metaml
	project string // pyproject.toml
	licence string // MetaML's own licence
}

func main() {
	var in inputs
	flag.StringVar(&in.bin, "bin", "bin", "folder with the built binaries")
	flag.StringVar(&in.module, "module", filepath.Join("jupyter-ext", "python"),
		"folder that holds the Python package metaml")
	flag.StringVar(&in.project, "project", "pyproject.toml", "file with the metadata")
	flag.StringVar(&in.licence, "licence", ownLicence, "file with MetaML's own licence")
	out := flag.String("out", "dist", "folder to write the wheel to")
	tag := flag.String("tag", "", "platform tag, such as manylinux_2_17_x86_64 (default: this machine's own)")
	only := flag.Bool("metadata", false, "print the wheel's METADATA and build nothing")
	flag.Parse()
	var said string
	var err error
	if *only {
		var p project
		p, err = readProject(in.project)
		said = p.metadata(metaml.Version())
	} else {
		said, err = build(in, *out, *tag)
		said += "\n"
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wheel:", err)
		os.Exit(1)
	}
	fmt.Print(said)
}

// build writes the wheel, replacing an older one of the same name, removes
// wheels of other versions from out, and answers the path.
func build(in inputs, out, tag string) (string, error) {
	if tag == "" {
		var err error
		if tag, err = hostTag(); err != nil {
			return "", err
		}
	}
	metadata, err := readProject(in.project)
	if err != nil {
		return "", err
	}
	w := wheel{version: metaml.Version(), project: metadata, tag: tag}
	if err := w.collect(in); err != nil {
		return "", err
	}
	data, err := w.pack()
	if err != nil {
		return "", err
	}
	//nolint:gosec // G301: a folder of results, readable like the rest of the clone
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for the wheel: %w", err)
	}
	path := filepath.Join(out, w.name())
	if err := atomicfile.Write(path, data, 0o644); err != nil { // a wheel is for everyone to read
		return "", err
	}
	return path, removeOthers(out, path, tag)
}

// removeOthers deletes older versions' wheels of the same platform, so that
// `pip install dist/metaml-*.whl` names one file.
func removeOthers(out, keep, tag string) error {
	old, err := filepath.Glob(filepath.Join(out, "metaml-*-py3-none-"+tag+".whl"))
	if err != nil {
		return fmt.Errorf("look for older wheels: %w", err)
	}
	for _, path := range old {
		if path == keep {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove an older wheel: %w", err)
		}
	}
	return nil
}
