package lock

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// The ways out.
const (
	nameImage = "name an image that has %s: --image IMAGE."
	byFiles   = "Put the Python of %s into the notebook's folder, whose modules go along; or " + nameImage
	byIndex   = "Name the package index that has %s: --index URL; or " + nameImage
	byWork    = "Work in an environment where pip or uv has installed %s, or " + nameImage
	bySource  = "Install %s from a package index, with pip or uv, and run the cell again; or " + nameImage
)

// Check refuses what cannot be installed again, by its name. environ is the environment of the session, which may name
// package indexes.
func (l *Lock) Check(environ []string) error {
	if err := l.CheckPython(); err != nil {
		return err
	}
	if len(l.Unowned) > 0 {
		return refusal("no installed package brings %s, which the program imports", several(l.Unowned)).
			With(byFiles, them(l.Unowned), them(l.Unowned))
	}
	indexed := namesIndex(environ)
	for _, c := range causes {
		var names []string
		var first Package
		for _, p := range l.Packages {
			if c.is(p) && (!c.unlessIndexed || !indexed) {
				if names == nil {
					first = p
				}
				names = append(names, p.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		subject, verb := several(names), "were"
		if len(names) == 1 {
			subject, verb = l.introduce(first), "was"
		}
		return refusal("%s %s %s", subject, verb, withoutLogin(c.text(first, len(names)))).
			With(c.hint, them(names), them(names))
	}
	return nil
}

// CheckPython refuses a session on which no image can be modelled.
func (l *Lock) CheckPython() error {
	if l.Implementation != "cpython" {
		return refusal("the session runs on %s, and images are made for CPython alone", l.Implementation).
			With("Name one that has it: --image IMAGE.")
	}
	return nil
}

// cause is a reason for which packages cannot be installed again.
type cause struct {
	is   func(p Package) bool
	text func(p Package, n int) string // what is said of n packages, of which p is the first
	hint string                        // with a pronoun twice

	unlessIndexed bool // it is none where the session names a package index
}

// causes stand in the order in which they are reported: first those that the user knows best.
var causes = []cause{
	{
		is: func(p Package) bool { return p.Editable },
		text: func(p Package, n int) string {
			if n == 1 && p.DirectURL != nil {
				return "installed to be edited in " + strings.TrimPrefix(p.DirectURL.URL, "file://")
			}
			return "installed to be edited in folders of this machine"
		},
		hint: byFiles,
	},
	{
		is: func(p Package) bool { return p.local() && !p.compiled() },
		text: func(p Package, n int) string {
			return "installed from " + origin(p, n)
		},
		hint: byFiles,
	},
	{
		is: func(p Package) bool { return p.local() && p.compiled() },
		text: func(p Package, n int) string {
			return "compiled here, from " + origin(p, n)
		},
		hint: bySource,
	},
	{
		is: func(p Package) bool { return p.DirectURL != nil && p.DirectURL.VCS != nil },
		text: func(p Package, n int) string {
			if n == 1 {
				return fmt.Sprintf("installed from %s+%s, and no repository of source is fetched",
					p.DirectURL.VCS.VCS, p.DirectURL.URL)
			}
			return "installed from repositories of source, and none is fetched"
		},
		hint: bySource,
	},
	{
		is: func(p Package) bool { return p.DirectURL != nil && !p.local() && !fetched.MatchString(p.DirectURL.URL) },
		text: func(p Package, n int) string {
			return "installed from an address that cannot be fetched: " + p.DirectURL.URL
		},
		hint: bySource,
	},
	{
		is: func(p Package) bool { return p.Installer == "conda" },
		text: func(Package, int) string {
			return "installed by conda, and images are made of what package indexes have"
		},
		hint: byWork,
	},
	{
		is: func(p Package) bool { return !distribution.IsVersion(p.Version) },
		text: func(p Package, n int) string {
			if n == 1 {
				return fmt.Sprintf("installed with the version %q, which no package index has", p.Version)
			}
			return "installed with versions that no package index has"
		},
		hint: bySource,
	},
	{
		is: func(p Package) bool { return p.DirectURL == nil && strings.Contains(p.Version, "+") },
		text: func(p Package, n int) string {
			if n == 1 {
				return fmt.Sprintf("installed as %s, a build that the public package index does not have", p.Version)
			}
			return fmt.Sprintf("installed as builds that the public package index does not have, such as %s", p.Version)
		},
		hint:          byIndex,
		unlessIndexed: true,
	},
}

var fetched = regexp.MustCompile(`^https?://[^/]`)

// local reports whether a package was installed from a file or a folder.
func (p Package) local() bool {
	return p.DirectURL != nil && strings.HasPrefix(p.DirectURL.URL, "file:")
}

func (p Package) compiled() bool { return p.Pure != nil && !*p.Pure }

func origin(p Package, n int) string {
	if n == 1 {
		return strings.TrimPrefix(p.DirectURL.URL, "file://") + ", which is on this machine alone"
	}
	return "folders and files of this machine"
}

// introduce names a package, and why it is needed where nobody asked for it.
func (l *Lock) introduce(p Package) string {
	if p.Root {
		return p.Name
	}
	for _, other := range l.Packages {
		if slices.ContainsFunc(other.Requires, func(text string) bool { return requires(text, p.Name) }) {
			return p.Name + ", which " + other.Name + " needs,"
		}
	}
	return p.Name
}

// requires reports whether a requirement is one of a package.
func requires(text, name string) bool {
	m := named.FindStringSubmatch(text)
	return m != nil && distribution.Normalize(m[1]) == name
}

var named = regexp.MustCompile(`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)`)

// namesIndex reports whether an environment names an index besides the public one.
func namesIndex(environ []string) bool {
	return slices.ContainsFunc(environ, func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		return value != "" && slices.Contains([]string{
			"UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
			"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS",
		}, name)
	})
}

// several lists names, the first of many.
func several(names []string) string {
	const most = 5
	if len(names) > most+1 {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", len(names)-most))
	}
	return prose.List(names)
}

func them(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}

func refusal(format string, args ...any) *usererror.Error {
	return usererror.New(usererror.CodeLock, format, args...)
}
