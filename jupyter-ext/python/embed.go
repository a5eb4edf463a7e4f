// Package pymodule carries the Python module `metaml` inside our binaries, so that every binary brings the module that
// fits it: [Dir] puts it on disk and names the folder that belongs on PYTHONPATH. The module itself is in the folder
// metaml; start with its __init__.py.
//
// It imports the standard library alone, and anything may import it.
package pymodule

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

//go:embed metaml/*.py metaml/*/*.py metaml/py.typed
var module embed.FS

// Dir extracts the module, once per machine, user and version, and returns the folder that belongs on PYTHONPATH. It is
// $XDG_CACHE_HOME/metaml/python/DIGEST, or where the cache folder cannot be written or is not the user's own,
// $XDG_DATA_HOME/metaml/python or a private folder under [os.TempDir]. Several processes may call it at once: the
// folder appears whole, by a rename.
func Dir() (string, error) {
	return once()
}

var once = sync.OnceValues(func() (string, error) {
	var tried []error
	for _, base := range bases() {
		dir, err := extract(base)
		if err == nil {
			return dir, nil
		}
		tried = append(tried, err)
	}
	return "",
		fmt.Errorf("cannot put the Python module on disk: set XDG_CACHE_HOME to a folder of your own that can be "+
			"written: %w", errors.Join(tried...))
})

// bases lists the folders under which the module may be extracted, best first.
func bases() []string {
	var dirs []string
	if cache := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(cache) {
		dirs = append(dirs, filepath.Join(cache, "metaml", "python"))
	} else if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
		dirs = append(dirs, filepath.Join(home, ".cache", "metaml", "python"))
	}
	// Where home cannot be written to, runs are in XDG_DATA_HOME, and in the folder for temporary files another user
	// may have taken the name.
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		dirs = append(dirs, filepath.Join(data, "metaml", "python"))
	}
	return append(dirs, filepath.Join(os.TempDir(), "metaml-python-"+strconv.Itoa(os.Getuid())))
}

// digest names the module's content.
var digest = sync.OnceValue(func() string {
	sum := sha256.New()
	for _, f := range files() {
		fmt.Fprintf(sum, "%s\x00%d\x00", f.name, len(f.data))
		sum.Write(f.data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
})

type file struct {
	name string // below the folder on PYTHONPATH, "metaml/__init__.py"
	data []byte
}

// files gives the module's files, sorted by name. The embedded file system cannot fail on names that it listed itself.
var files = sync.OnceValue(func() []file {
	var all []file
	_ = fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := module.ReadFile(name)
		all = append(all, file{name, data})
		return err
	})
	return all
})

// extract makes sure that base/DIGEST holds the module and is safe to import from.
func extract(base string) (string, error) {
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", fmt.Errorf("make folder %q: %w", base, err)
	}
	if err := private(base); err != nil {
		return "", err
	}
	dir := filepath.Join(base, digest())
	if complete(dir) {
		return dir, private(dir)
	}
	fresh, err := os.MkdirTemp(base, ".new-")
	if err != nil {
		return "", fmt.Errorf("make a folder in %q: %w", base, err)
	}
	defer os.RemoveAll(fresh)
	for _, f := range files() {
		name := filepath.Join(fresh, f.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return "", fmt.Errorf("make folder %q: %w", filepath.Dir(name), err)
		}
		if err := os.WriteFile(name, f.data, 0o600); err != nil {
			return "", fmt.Errorf("write the Python module: %w", err)
		}
	}
	// Twice: the first rename fails if a folder is there already, which is either another process's (whole, ours goes)
	// or one from which a cleaner has taken files (it goes).
	for range 2 {
		if err = os.Rename(fresh, dir); err == nil || complete(dir) {
			return dir, private(dir)
		}
		aside := fresh + ".old"
		if os.Rename(dir, aside) == nil {
			_ = os.RemoveAll(aside)
		}
	}
	return "", fmt.Errorf("put the Python module in place: %w", err)
}

// complete reports whether every file of the module is in dir with its size. A temporary folder's cleaner may have been
// there.
func complete(dir string) bool {
	for _, f := range files() {
		info, err := os.Lstat(filepath.Join(dir, f.name))
		if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(f.data)) {
			return false
		}
	}
	return true
}

// private refuses a folder that somebody else owns or can write: Python would import their code.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at folder %q: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("folder %q belongs to another user", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("folder %q can be written by others: chmod 700 it", dir)
	}
	return nil
}
