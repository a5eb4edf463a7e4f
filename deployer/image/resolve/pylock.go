package resolve

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/usererror"
)

// Locked is a list of wheels.
type Locked struct {
	Text   []byte // the lock file
	Wheels []Wheel
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

// Parse reads a lock file of PEP 751 in which each package has exactly one wheel, as a resolver for one platform
// writes it.
func Parse(text []byte) (*Locked, error) {
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
		if len(files) != 1 {
			return nil, usererror.New(usererror.CodeResolve, "%s %s has %d wheels for the image, and not one", p.Name,
				p.Version, len(files)).With("Name an image that has it: --image IMAGE.")
		}
		w, err := wheelOf(files[0].Name, files[0].URL, files[0].Path, files[0].Hashes["sha256"])
		if err != nil {
			return nil, fmt.Errorf("read a lock file: %s: %w", p.Name, err)
		}
		w.Name, w.Version, w.Size = p.Name, p.Version, files[0].Size
		locked.Wheels = append(locked.Wheels, w)
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
