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

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/usererror"
)

// Locked is a list of wheels.
type Locked struct {
	Wheels  []Wheel
	Sources []Wheel  // packages without one, by the archive that they are built from
	Notes   []string // what people should know of how it came about, in sentences without a full stop
}

// Wheel is a file that an index has.
type Wheel struct {
	Name    string // of the distribution, normalized
	Version string
	File    string // "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl"
	URL     string // https, http or file; without a login
	SHA256  string // in hex
	Size    int64  // in bytes; 0 is unknown
}

// Requirements gives wheels as a requirements file of pip, with hashes.
func Requirements(wheels []Wheel) string {
	var b strings.Builder
	for i := range wheels {
		fmt.Fprintf(&b, "%s==%s --hash=sha256:%s\n", wheels[i].Name, wheels[i].Version, wheels[i].SHA256)
	}
	return b.String()
}

// Parse reads a lock file as a resolver writes it for the platform of the input.
func Parse(text []byte, in Input) (*Locked, error) { return parse(text, in, nil) }

// parse reads a lock file of PEP 751, and takes of each package the wheel that was made most exactly for the platform
// and the Python, of those that the hashes allow. Wanted says which packages an environment has; nil is all.
func parse(text []byte, in Input, wanted func(name, version string) bool) (*Locked, error) {
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
	locked := &Locked{}
	for _, p := range lock.Packages {
		if wanted != nil && !wanted(p.Name, p.Version) {
			continue
		}
		files := p.Wheels
		if p.Archive != nil {
			files = append(slices.Clone(files), *p.Archive)
		}
		var wheels []Wheel
		refused := "" // a file that could be taken if its hash were allowed
		for _, f := range files {
			w, err := wheelOf(f.Name, f.URL, f.Path, f.Hashes["sha256"])
			if err != nil {
				return nil, fmt.Errorf("read a lock file: %s: %w", p.Name, err)
			}
			w.Name, w.Version, w.Size = p.Name, p.Version, f.Size
			switch {
			case !fits(w.File, in.Python, in.Arch):
			case in.Hashes != nil && !slices.Contains(in.Hashes[distribution.Normalize(p.Name)], "sha256:"+w.SHA256):
				refused = w.File
			default:
				wheels = append(wheels, w)
			}
		}
		if len(wheels) == 0 && refused != "" {
			return nil, usererror.New(usererror.CodeResolve,
				"the file of requirements has no hash of %s, which is what the package index has of %s %s", refused,
				p.Name, p.Version).
				With("Add it, if that file is what you want: --hash=sha256:DIGEST.")
		}
		if len(wheels) == 0 {
			source := Wheel{Name: p.Name, Version: p.Version}
			if p.Sdist != nil {
				source.File, source.URL, source.SHA256 = p.Sdist.Name, p.Sdist.URL, p.Sdist.Hashes["sha256"]
				source.Size = p.Sdist.Size
			}
			locked.Sources = append(locked.Sources, source)
			continue
		}
		locked.Wheels = append(locked.Wheels, slices.MinFunc(wheels, func(a, b Wheel) int {
			return cmp.Or(
				slices.Compare(distance(a.File, in.Python), distance(b.File, in.Python)),
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
		return Wheel{}, fmt.Errorf("%s is no address", redacted(at, address))
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
	at.User = nil // who loads it has the logins
	return Wheel{File: name, URL: at.String(), SHA256: strings.ToLower(sum)}, nil
}

// redacted is an address without the login in it.
func redacted(at *url.URL, address string) string {
	if at == nil {
		return "what stands there" // it may have a password in it
	}
	return fmt.Sprintf("%q", cmp.Or(at.Redacted(), address))
}

// machines are architectures as tags of wheels have them, by Go's names.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// newestGlibc is the minor version of glibc that the platforms have at least.
const newestGlibc = 28

// fits reports whether a wheel can be installed on the platform
// (https://packaging.python.org/en/latest/specifications/platform-compatibility-tags).
func fits(file, python, arch string) bool {
	parts := strings.Split(strings.TrimSuffix(file, ".whl"), "-")
	n := len(parts)
	_, minor, _ := strings.Cut(python, ".")
	wanted, err := strconv.Atoi(minor)
	if err != nil {
		return false
	}
	system := slices.ContainsFunc(strings.Split(parts[n-1], "."), func(tag string) bool {
		rest, is := strings.CutSuffix(tag, "_"+machines[arch])
		return tag == "any" || is && (rest == "linux" || strings.HasPrefix(rest, "manylinux") &&
			glibc(tag) <= newestGlibc)
	})
	abis := strings.Split(parts[n-2], ".")
	own := fmt.Sprintf("cp3%d", wanted)
	return system && slices.ContainsFunc(strings.Split(parts[n-3], "."), func(tag string) bool {
		generic, isPy := strings.CutPrefix(tag, "py3")
		stable, isCP := strings.CutPrefix(tag, "cp3")
		digits := stable
		if isPy {
			digits = generic
		}
		is, err := strconv.Atoi(digits)
		switch {
		case isPy:
			return slices.Contains(abis, "none") && (generic == "" || err == nil && is <= wanted)
		case tag == own:
			return slices.Contains(abis, own) || slices.Contains(abis, "abi3") || slices.Contains(abis, "none")
		case isCP:
			return slices.Contains(abis, "abi3") && err == nil && is <= wanted
		}
		return false
	})
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
