package resolve

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Locked is a list of wheels.
type Locked struct {
	Text    []byte // the lock file
	Wheels  []Wheel
	Sources []Wheel // packages without one, by the archive that they are built from
}

// Wheel is a file that an index has.
type Wheel struct {
	Name    string // of the distribution, normalized
	Version string
	File    string // "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl"
	URL     string // https, http or file
	SHA256  string // in hex
	Size    int64  // in bytes; 0 is unknown
}

// Parse reads a lock file of PEP 751 as a resolver writes it for one platform: of each package it has the wheels that
// can be installed there. Of these it takes the one that was made most exactly for the Python, "3.11".
func Parse(text []byte, python string) (*Locked, error) {
	type file struct {
		Name   string
		URL    string
		Path   string
		Size   int64
		Hashes map[string]string
	}
	var lock struct {
		Version  string `toml:"lock-version"`
		Packages []struct {
			Name    string
			Version string
			Wheels  []file
			Archive *file
			Sdist   *file
			Marker  string
		}
	}
	if err := toml.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("read a lock file: %w", err)
	}
	if major, _, _ := strings.Cut(lock.Version, "."); major != "1" {
		return nil, fmt.Errorf("read a lock file: it has version %q, and version 1 is known", lock.Version)
	}
	locked := &Locked{Text: text}
	for _, p := range lock.Packages {
		files := p.Wheels
		if p.Archive != nil {
			files = append(slices.Clone(files), *p.Archive)
		}
		if len(files) == 0 {
			source := Wheel{Name: p.Name, Version: p.Version}
			if p.Sdist != nil {
				source.File, source.URL, source.SHA256 = p.Sdist.Name, p.Sdist.URL, p.Sdist.Hashes["sha256"]
				source.Size = p.Sdist.Size
			}
			locked.Sources = append(locked.Sources, source)
			continue
		}
		var wheels []Wheel
		for _, f := range files {
			w, err := wheelOf(f.Name, f.URL, f.Path, f.Hashes["sha256"])
			if err != nil {
				return nil, fmt.Errorf("read a lock file: %s: %w", p.Name, err)
			}
			w.Name, w.Version, w.Size = p.Name, p.Version, f.Size
			wheels = append(wheels, w)
		}
		locked.Wheels = append(locked.Wheels, slices.MinFunc(wheels, func(a, b Wheel) int {
			return cmp.Or(
				slices.Compare(distance(a.File, python), distance(b.File, python)),
				cmp.Compare(a.File, b.File),
			)
		}))
	}
	return locked, nil
}

// fileName is that of a wheel (PEP 427).
var fileName = regexp.MustCompile(`^[\w.!+]+-[\w.!+]+(-[\w.]+)?-[\w.]+-[\w.]+-[\w.]+\.whl$`)

func wheelOf(name, address, local, sum string) (Wheel, error) {
	if address == "" && local != "" {
		address = (&url.URL{Scheme: "file", Path: local}).String()
	}
	at, err := url.Parse(address)
	if err != nil || !slices.Contains([]string{"https", "http", "file"}, at.Scheme) {
		return Wheel{}, fmt.Errorf("%q is no address", address)
	}
	if name == "" {
		name = path.Base(at.Path)
	}
	if !fileName.MatchString(name) {
		return Wheel{}, fmt.Errorf("%q is no wheel", name)
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 {
		return Wheel{}, fmt.Errorf("%s has no digest by sha256", name)
	}
	return Wheel{File: name, URL: address, SHA256: strings.ToLower(sum)}, nil
}

// distance says how far a wheel that can be installed is from what was made for this Python alone; the smallest is the
// nearest, as installers take it (packaging.python.org/specifications/platform-compatibility-tags, "Use").
func distance(file, python string) []int {
	parts := strings.Split(strings.TrimSuffix(file, ".whl"), "-")
	n := len(parts)
	pythons, abis, systems := parts[n-3], parts[n-2], parts[n-1]
	least := []int{math.MaxInt}
	for py := range strings.SplitSeq(pythons, ".") {
		for abi := range strings.SplitSeq(abis, ".") {
			for system := range strings.SplitSeq(systems, ".") {
				if is := tagDistance(py, abi, system, python); slices.Compare(is, least) < 0 {
					least = is
				}
			}
		}
	}
	build := 0 // a later build goes before an earlier one
	if n == 6 {
		digits := strings.TrimRightFunc(parts[2], func(r rune) bool { return r < '0' || r > '9' })
		build, _ = strconv.Atoi(digits)
	}
	return append(least, -build)
}

// tagDistance is that of one tag: whether it has code for this system, for which Python, ABI and age of the system.
func tagDistance(py, abi, system, python string) []int {
	general, others := 0, 0
	if system == "any" {
		general = 1
	}
	version, isCPython := strings.CutPrefix(py, "cp")
	if !isCPython {
		others, version = 1, strings.TrimPrefix(py, "py")
	}
	_, minor, _ := strings.Cut(python, ".")
	wanted, _ := strconv.Atoi(minor)
	is := -1 // "py3" is of no minor version
	if len(version) > 1 {
		is, _ = strconv.Atoi(version[1:])
	}
	abis := slices.Index([]string{"cp" + strings.ReplaceAll(python, ".", ""), "abi3", "none"}, abi)
	if abis < 0 {
		abis = 3
	}
	return []int{general, others, wanted - is, abis, -glibc(system)}
}

// glibc is the minor version of glibc that a tag needs at least, 28 for manylinux_2_28 (PEP 600); 0 is unknown.
func glibc(system string) int {
	for old, minor := range map[string]int{"manylinux1_": 5, "manylinux2010_": 12, "manylinux2014_": 17} {
		if strings.HasPrefix(system, old) {
			return minor
		}
	}
	minor := 0
	_, _ = fmt.Sscanf(system, "manylinux_2_%d_", &minor) // else it is 0
	return minor
}
