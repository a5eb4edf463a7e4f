package architecture_test

import (
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const product = "github.com/metaml/metaml"

// everywhere may be imported by every room: the version, the Python module
// that the binaries carry, and two leaves that need the standard library alone.
var everywhere = []string{".", "jupyter-ext/python", "internal/prose", "internal/usererror"}

// rooms is the architecture: what a room may reach within the product, directly
// or through others. A folder belongs to the first room that names it or a
// folder above it, so the narrow ones come first. "a/..." is a and all below.
var rooms = []struct {
	folder string
	may    []string
	reason string
}{
	{"internal", nil, "prose and usererror serve every room and need none"},
	{"deployer/run", nil, "the types that all rooms share depend on none of them"},
	{"deployer/folder", []string{"deployer/run"}, "the agent and the monitor share it, and nothing else of the deployer"},
	{"deployer/engine/train", []string{"deployer/engine/train/...", "deployer/run", "deployer/folder"}, "the monitor runs in pods and beside local trials, without the rest"},
	{"deployer/engine/serve", []string{"deployer/run", "deployer/folder"}, "a server's monitor runs beside its workers, without the rest"},
	{"deployer/view", []string{"deployer/view/...", "deployer/run"}, "what people see is a fold of events, and needs no target"},
	{"deployer", []string{"deployer/...", "converter/program", "converter/session"}, "deployer and converter meet in the program folder alone"},
	{"agent", []string{"agent/...", "deployer/run", "deployer/folder"}, "the agent is the first process of every trial, and must stay small"},
	{"kernel", []string{"kernel/..."}, "the kernel relays messages and knows neither programs nor runs"},
	{"converter", []string{"converter/..."}, "the converter knows neither sockets nor Kubernetes nor runs"},
	{"jupyter-ext", []string{"jupyter-ext/..."}, "the module is carried by every binary and knows none of them"},
	{"cmd", []string{"..."}, "commands put the rooms together"},
	{"test", []string{"..."}, "tests may look at everything"},
	{".", nil, "the version is the floor that everything stands on"},
}

// TestImportsRunDownward looks at all dependencies of a package; the linter's
// depguard, with the same rules, sees the direct ones as they are written.
func TestImportsRunDownward(t *testing.T) {
	for _, p := range packages(t) {
		folder := folderOf(p.ImportPath)
		room := slices.IndexFunc(rooms, func(r struct {
			folder string
			may    []string
			reason string
		},
		) bool {
			return within(folder, r.folder+"/...")
		})
		if room < 0 {
			t.Errorf("%s belongs to no room: give it one in rooms_test.go, or put it elsewhere", folder)
			continue
		}
		for _, dependency := range p.Deps {
			if dependency != product && !strings.HasPrefix(dependency, product+"/") {
				continue
			}
			target := folderOf(dependency)
			allowed := append(append([]string{folder}, everywhere...), rooms[room].may...)
			if !slices.ContainsFunc(allowed, func(pattern string) bool { return within(target, pattern) }) {
				t.Errorf("%s reaches %s, directly or through another package: %s", folder, target, rooms[room].reason)
			}
		}
	}
}

func folderOf(importPath string) string {
	return path.Clean("./" + strings.TrimPrefix(strings.TrimPrefix(importPath, product), "/"))
}

// within reports whether a folder matches a pattern of the table.
func within(folder, pattern string) bool {
	if pattern == "..." {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return folder == base || below && base != "." && strings.HasPrefix(folder, base+"/")
}

// TestEveryPackageSaysWhatItIsFor looks into the files, since go list does not
// show the comment of a package that has tests alone.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		files := slices.Concat(p.GoFiles, p.CgoFiles)
		if len(files) == 0 {
			files = slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		}
		var commented []string
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil && file.Doc.Text() != "" {
				commented = append(commented, name)
			}
		}
		if len(commented) != 1 {
			t.Errorf("%s has %d package comments %v, want one: say what it is for, what to read first and what it may import", folderOf(p.ImportPath), len(commented), commented)
		}
	}
}

func TestNoPackageIsCalledUtil(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, p.Name) {
			t.Errorf("package %s: name it after what it does", folderOf(p.ImportPath))
		}
	}
}
