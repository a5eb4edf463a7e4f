package lock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/usererror"
)

// Kind is what a file of requirements is.
type Kind string

// The kinds of files.
const (
	KindRequirements Kind = "requirements" // requirements.txt, as pip reads it
	KindPylock       Kind = "pylock"       // pylock.toml (PEP 751)
	KindUV           Kind = "uv"           // uv.lock
)

// File is a file that says what an image is made of, in place of the session.
type File struct {
	Path string
	Kind Kind

	// Of [KindRequirements], with all files that it includes: what must be there, and which versions where something
	// is there. Options that say where packages are looked for are in Requirements.
	Requirements, Constraints string
	// Hashes are the only files that may be taken, "sha256:…" by the name of the package; nil allows all. Whoever
	// resolves does not look at them: see [File.Allows].
	Hashes map[string][]string

	Text    []byte // of the other kinds: the file as it is
	Project []byte // of [KindUV]: the pyproject.toml beside it
}

// maxFile bounds a file, in bytes.
const maxFile = 16 << 20

// Read reads a file of requirements, and those that it includes, and refuses what could not be kept to.
func Read(path string) (*File, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	if hint, known := others[name]; known {
		return nil, unusable("%s is no file that an image can be made of", path).With("%s", hint)
	}
	f := &File{Path: path}
	switch {
	case name == "uv.lock":
		f.Kind, f.Text = KindUV, text
		if err := checkUV(path, text); err != nil {
			return nil, err
		}
		f.Project, err = readFile(filepath.Join(filepath.Dir(path), "pyproject.toml"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, unusable("%s has no pyproject.toml beside it, which says what it is the lock of", path).
				With("Name the one in the project's folder.")
		}
		return f, err
	case pylockName.MatchString(name):
		f.Kind, f.Text = KindPylock, text
		return f, checkPylock(path, text)
	}
	if strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, ".lock") {
		return nil, unusable("%s is neither pylock.toml nor uv.lock", path).With(kinds)
	}
	f.Kind = KindRequirements
	r := reader{file: f}
	if err := r.read(path, string(text)); err != nil {
		return nil, err
	}
	f.Requirements, f.Constraints = r.requirements.String(), r.constraints.String()
	if strings.TrimSpace(f.Requirements) == "" {
		return nil, unusable("%s requires nothing", path).With("Write the packages into it, one a line.")
	}
	return f, nil
}

// Key is the digest of what decides which files are found.
func (f *File) Key() string {
	var hashes []string
	for name, allowed := range f.Hashes {
		hashes = append(hashes, name+" "+strings.Join(allowed, " "))
	}
	slices.Sort(hashes)
	return digest(string(f.Kind), f.Requirements, f.Constraints, strings.Join(hashes, "\n"), string(f.Text),
		string(f.Project))
}

// Allows reports whether a file with a digest may be taken for a package. As pip does it, one digest in the file means
// that each package needs one.
func (f *File) Allows(name, sha256 string) bool {
	return f.Hashes == nil || slices.Contains(f.Hashes[distribution.Normalize(name)], "sha256:"+strings.ToLower(sha256))
}

const kinds = "Name a requirements.txt, a pylock.toml or a uv.lock."

// others are files that people may think of, with what gives one that can be read.
var others = map[string]string{
	"poetry.lock":     "`poetry export --output requirements.txt` writes one.",
	"pdm.lock":        "`pdm export --output requirements.txt` writes one.",
	"Pipfile":         "`pipenv requirements > requirements.txt` writes one.",
	"Pipfile.lock":    "`pipenv requirements > requirements.txt` writes one.",
	"pyproject.toml":  "`uv lock` writes uv.lock beside it: name that.",
	"setup.py":        "`uv lock` writes uv.lock beside it: name that.",
	"environment.yml": "Packages of conda come in an image: --image IMAGE.",
	"conda-lock.yml":  "Packages of conda come in an image: --image IMAGE.",
	"pixi.lock":       "Packages of conda come in an image: --image IMAGE.",
}

var pylockName = regexp.MustCompile(`^pylock(\.[^.]+)?\.toml$`)

func checkUV(path string, text []byte) error {
	var l struct {
		Version  int
		Packages []struct{ Name string } `toml:"package"`
	}
	if err := toml.Unmarshal(text, &l); err != nil {
		return unreadable(path, err)
	}
	if l.Version != 1 || len(l.Packages) == 0 {
		return unusable("%s is no lock of uv, version 1", path).With("`uv lock` writes it anew.")
	}
	return nil
}

func checkPylock(path string, text []byte) error {
	var l struct {
		Version  string `toml:"lock-version"`
		Packages []struct {
			Name      string
			Directory map[string]any
			VCS       map[string]any
		}
	}
	if err := toml.Unmarshal(text, &l); err != nil {
		return unreadable(path, err)
	}
	if major, _, _ := strings.Cut(l.Version, "."); major != "1" {
		return unusable("%s has lock-version %q, and 1.0 is known", path, l.Version).
			With("`uv export --format pylock.toml` writes it anew.")
	}
	for _, p := range l.Packages {
		if p.Directory != nil || p.VCS != nil {
			return unusable("%s takes %s from source, and images are made of what package indexes have", path, p.Name).
				With(byFiles, "it", "it")
		}
	}
	return nil
}

// unreadable words what TOML's reader says, which names no file.
func unreadable(path string, err error) error {
	text := fmt.Sprintf("%s cannot be read: %v", path, err)
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := at.Position()
		text = fmt.Sprintf("%s, line %d: %v", path, line, err)
	}
	return usererror.Wrap(err, usererror.CodeRequirements, text, kinds)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cannotRead(path, err)
	}
	if len(text) > maxFile {
		return nil, unusable("%s has more than %d MiB", path, maxFile>>20).With(kinds)
	}
	return text, nil
}

func cannotRead(path string, err error) error {
	return usererror.Wrap(err, usererror.CodeRequirements,
		fmt.Sprintf("%s cannot be read: %v", path, usererror.SystemReason(err)), "")
}

func unusable(format string, args ...any) *usererror.Error {
	return usererror.New(usererror.CodeRequirements, format, args...)
}
