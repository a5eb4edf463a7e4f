package pod

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/prose"
)

// RequiresName is the file of a pod's input folder that says what its image must have ([Requires]). Without it nothing
// is checked.
const RequiresName = "requires.json"

// Requires is what a program was made with, and so what an image must have.
type Requires struct {
	Python   string            `json:"python,omitempty"`   // major and minor version, "3.11"; "" is any
	Packages map[string]string `json:"packages,omitempty"` // distribution → version; "" is any
	Modules  map[string]string `json:"modules,omitempty"`  // module that is imported → its distribution
	Strict   bool              `json:"strict,omitempty"`   // no other versions either
}

// NewRequires is what a program needs, by the packages that it imports directly ([run.Submission]): the standard
// library, which has no name there, comes with Python, and MetaML's own module with metaml-pod.
func NewRequires(python string, packages, modules map[string]string, strict bool) Requires {
	r := Requires{Python: python, Packages: map[string]string{}, Modules: map[string]string{}, Strict: strict}
	for name, version := range packages {
		if name != "" && name != "metaml" {
			r.Packages[name] = version
		}
	}
	for module, name := range modules {
		if _, needed := r.Packages[name]; needed {
			r.Modules[module] = name
		}
	}
	return r
}

// ParseRequires reads requires.json.
func ParseRequires(data []byte) (Requires, error) {
	var r Requires
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", RequiresName, err)
	}
	return r, nil
}

// Installed is what an image has.
type Installed struct {
	Python   string             `json:"python"`
	Packages map[string]*string `json:"packages"` // distribution → version, "" where it has none; nil: it is not there
	Modules  map[string]bool    `json:"modules"`  // module → whether it can be found
}

// Compare says in one clause each why the program cannot run with what is installed, and what is otherwise and might
// matter. "" is nothing.
func (r Requires) Compare(i Installed) (refused, differs string) {
	var wrong, lacks, others []string
	if r.Python != "" && i.Python != r.Python {
		wrong = append(wrong, fmt.Sprintf("has Python %s in place of %s", i.Python, r.Python))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Packages)) {
		want, have := r.Packages[name], i.Packages[name]
		switch {
		case have == nil && r.otherwise(name, i):
			// opencv-python-headless instead of opencv-python: the import finds it.
			others = append(others, "another package in place of "+strings.TrimSpace(name+" "+want))
		case have == nil:
			lacks = append(lacks, strings.TrimSpace(name+" "+want))
		case want != "" && *have != want:
			others = append(others, fmt.Sprintf("%s %s in place of %s", name, *have, want))
		}
	}
	if len(lacks) > 0 {
		wrong = append(wrong, "lacks "+prose.List(lacks))
	}
	if len(others) > 0 {
		clause := "has " + prose.List(others)
		if r.Strict {
			wrong = append(wrong, clause)
		} else {
			differs = "the image " + clause
		}
	}
	if len(wrong) > 0 {
		refused = "the image " + strings.Join(wrong, "; it ")
	}
	return refused, differs
}

// otherwise reports whether the image has all modules of a package that is not installed.
func (r Requires) otherwise(name string, i Installed) bool {
	found := false
	for module, of := range r.Modules {
		if of == name {
			if !i.Modules[module] {
				return false
			}
			found = true
		}
	}
	return found
}
