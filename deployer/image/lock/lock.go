// Package lock has what the packages of an image are resolved from: the lock of a session, or a file that people wrote
// or had written, such as requirements.txt. Each is checked before anything is asked of a package index: what no index
// has again is refused by its name, with the way out.
//
// Read [Lock] first, which is the answer of jupyter-ext/python/metaml/_session/lock.py, and then [Read]. The package
// may import what everybody may.
package lock

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Lock is what is installed of all that a program imports (docs/internals/protocols.md §1).
type Lock struct {
	Python         string    `json:"python"` // "3.11.7"
	Implementation string    `json:"implementation"`
	Platform       string    `json:"platform"` // as sysconfig.get_platform of Python says it
	Libc           string    `json:"libc"`     // "glibc 2.36"; "" is another
	Time           time.Time `json:"time"`     // when it was taken
	Packages       []Package `json:"packages"`
	Unowned        []string  `json:"unowned,omitempty"` // imported modules that no package brings
}

// Package is an installed distribution.
type Package struct {
	Name      string     `json:"name"` // normalized
	Version   string     `json:"version"`
	Requires  []string   `json:"requires"`             // PEP 508; those that hold in the session
	DirectURL *DirectURL `json:"direct_url,omitempty"` // from where it was installed, if that was no index
	Installer string     `json:"installer"`            // "pip", "uv", "conda"; "" if nobody says
	Editable  bool       `json:"editable"`
	Pure      *bool      `json:"pure,omitempty"` // its wheel has Python alone; nil where it was no wheel
	Loaded    bool       `json:"loaded"`
	Root      bool       `json:"root"` // it is asked for itself: imported, or loaded though nothing requires it
}

// DirectURL is where a distribution came from (PEP 610).
type DirectURL struct {
	URL          string `json:"url"`
	Subdirectory string `json:"subdirectory,omitempty"`
	Archive      *struct {
		Hashes map[string]string `json:"hashes,omitempty"`
	} `json:"archive_info,omitempty"`
	VCS *struct {
		VCS    string `json:"vcs"`
		Commit string `json:"commit_id"`
	} `json:"vcs_info,omitempty"`
}

var (
	normal = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	// unprintable is what would end or part a line of requirements.
	unprintable = regexp.MustCompile(`[\s\p{C}]`)
)

// Parse reads a lock as the module sends it.
func Parse(text []byte) (*Lock, error) {
	var l Lock
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("read the lock of the session: %w", err)
	}
	for _, p := range l.Packages {
		if !normal.MatchString(p.Name) {
			return nil, fmt.Errorf("read the lock of the session: %q is no normalized name of a package", p.Name)
		}
		if unprintable.MatchString(p.Version) || p.DirectURL != nil && unprintable.MatchString(p.DirectURL.URL) {
			return nil, fmt.Errorf("read the lock of the session: %s has a version or an address with a blank", p.Name)
		}
	}
	return &l, nil
}

// Requirements gives two files as pip and uv read them: what must be there, and which version of each package, where it
// is there. A package that exists on the platform of the image alone is in neither, and found by whoever resolves.
func (l *Lock) Requirements() (requirements, constraints string) {
	var r, c strings.Builder
	for _, p := range l.Packages {
		switch {
		case p.DirectURL != nil: // no index has it
			fmt.Fprintf(&r, "%s @ %s\n", p.Name, p.DirectURL.again())
		case p.Root:
			fmt.Fprintf(&r, "%s==%s\n", p.Name, p.Version)
		default:
			fmt.Fprintf(&c, "%s==%s\n", p.Name, p.Version)
		}
	}
	return r.String(), c.String()
}

// Key is the digest of what decides which files are found. The time is not in it: what was found once is kept under the
// key, and so the same session gets the same again.
func (l *Lock) Key() string {
	requirements, constraints := l.Requirements()
	return digest(l.Implementation, Minor(l.Python), requirements, constraints)
}

// again is the address by which the same file is fetched.
func (d *DirectURL) again() string {
	var with []string
	if d.Archive != nil && d.Archive.Hashes["sha256"] != "" {
		with = append(with, "sha256="+url.QueryEscape(d.Archive.Hashes["sha256"]))
	}
	if d.Subdirectory != "" {
		with = append(with, "subdirectory="+url.PathEscape(d.Subdirectory))
	}
	if with == nil {
		return d.URL
	}
	return d.URL + "#" + strings.Join(with, "&")
}

// Minor is "3.11" of "3.11.7".
func Minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// digest is that of some texts, in hex; no two lists of texts give the same bytes.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}
