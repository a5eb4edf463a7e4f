package parts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Package is a system package, and the file by which one sees that it is there: a program's name or a whole path.
type Package struct{ Name, File string }

// Packages reads the list of what a cluster needs, packages.txt: a file and the package that brings it on each line.
func Packages(list string) []Package {
	var all []Package
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] != "#" {
			all = append(all, Package{File: fields[0], Name: fields[1]})
		}
	}
	return all
}

// Missing are the names of those packages that are not installed.
func Missing(all []Package) []string {
	var names []string
	for _, one := range all {
		if !there(one.File) && !slices.Contains(names, one.Name) {
			names = append(names, one.Name)
		}
	}
	return names
}

func there(file string) bool {
	if filepath.IsAbs(file) {
		_, err := os.Stat(file)
		return err == nil
	}
	if _, err := exec.LookPath(file); err == nil {
		return true
	}
	// A person's PATH may lack the folders of the administrator's programs.
	for _, folder := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(folder, file)); err == nil {
			return true
		}
	}
	return false
}

// ErrUnusable is why no cluster can run on this machine.
var ErrUnusable = errors.New("a cluster needs")

// Usable says in one sentence why no cluster can run on this machine, as an ErrUnusable; nil if one can.
func Usable(all []Package) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w Linux, and this is %s", ErrUnusable, runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w root", ErrUnusable)
	}
	if missing := Missing(all); len(missing) > 0 {
		return fmt.Errorf("%w what is not installed: apt-get install %s", ErrUnusable, strings.Join(missing, " "))
	}
	return nil
}
