package architecture_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const product = "github.com/metaml/metaml"

// everywhere may be imported by every package: the version, the Python module that the binaries carry, and leaves that
// need the standard library alone.
var everywhere = []string{
	".", "jupyter-ext/python", "internal/atomicfile", "internal/distribution", "internal/environ",
	"internal/jsonscan", "internal/lazyregexp", "internal/process", "internal/prose", "internal/usererror",
}

// layer is what the packages in a folder and below it may reach within the product, directly or through others.
type layer struct {
	folder string
	may    []string
	reason string
}

// layers is the architecture. A folder belongs to the first layer that names it or a folder above it, so the narrow
// ones come first. "a/..." is a and all below.
var layers = []layer{
	{"internal/atomicfile", nil, "it serves every package that does I/O and needs none"},
	{"internal/distribution", nil, "it serves every package that reads requirements and needs none"},
	{"internal/environ", nil, "it serves every package that reads a session's variables and needs none"},
	{"internal/jsonscan", nil, "it serves every package that reads many lines and needs none"},
	{"internal/lazyregexp", nil, "it serves every package and needs none"},
	{"internal/process", nil, "it serves every package that ends processes and needs none"},
	{"internal/prose", nil, "it serves every package and needs none"},
	{"internal/usererror", nil, "it serves every package and needs none"},
	{"internal/interpreter", nil, "the kernel finds its Python by it too, and stays small"},
	{"internal/talk", nil, "the kernel speaks these lines too, and stays small"},
	{"internal/staging", []string{"deployer/folder", "deployer/run"}, "a folder for what a target takes over"},
	{
		"internal/launch/watch",
		[]string{"deployer/...", "internal/talk", "converter/program", "converter/session", "converter/..."},
		"showing a run needs neither Python nor a document",
	},
	{
		"internal/report",
		[]string{"internal/launch/watch", "internal/talk", "deployer/...", "converter/..."},
		"what is said of runs needs neither Python nor a document",
	},
	{
		"internal/launch",
		[]string{
			"internal/launch/...", "internal/interpreter", "internal/staging", "internal/talk", "converter/...",
			"deployer/...",
		},
		"from a document to a run: below it are the converter and the deployer, above it commands and panels",
	},
	{"deployer/image/cache", nil, "how a file is kept does not depend on what is in it"},
	{"deployer/image/layer", nil, "a layer is made of files, whatever they are"},
	{
		"deployer/image/wheel",
		[]string{"deployer/image/layer"},
		"what becomes of a wheel is a matter of its content",
	},
	{
		"deployer/image/bytecode",
		[]string{"deployer/image/cache", "deployer/image/layer", "deployer/image/wheel"},
		"sources are compiled as they lie in a wheel",
	},
	{"deployer/image/resolve", nil, "which packages are needed has nothing to do with where they go"},
	{
		"deployer/image/fetch",
		[]string{
			"deployer/image/cache", "deployer/image/indexes", "deployer/image/resolve", "deployer/folder",
			"deployer/run",
		},
		"a download needs to know what to load, and why a file cannot be written",
	},
	{"deployer/image/base", []string{"deployer/image/cache"}, "an image is looked into as it is"},
	{"deployer/image/indexes", nil, "how an index is reached does not depend on what is asked of it"},
	{"deployer/image/lock", nil, "what a session has is plain data"},
	{"deployer/image/registry", nil, "what a registry says does not depend on what is asked of it"},
	{"deployer/image/login", []string{"deployer/image/registry"}, "a login is tried at a registry, and kept"},
	{"deployer/image/publish", []string{"deployer/image/registry"}, "an image is brought as it is, whatever is in it"},
	{
		"deployer/image/builder/solve",
		[]string{"deployer/image/builder"},
		"the program that speaks to a builder needs to know what is asked of it",
	},
	{"deployer/image/builder", nil, "what is asked of a builder is plain data"},
	{
		"deployer/image",
		[]string{"deployer/image/...", "deployer/folder", "deployer/run"},
		"an image is made without knowing who runs it",
	},
	{
		"deployer/pod/ship",
		[]string{"deployer/pod", "deployer/folder", "deployer/run"},
		"what leaves this machine is files and bytes, and needs no cluster",
	},
	{
		"deployer/kube/cluster",
		[]string{"deployer/run"},
		"the way to a cluster knows nothing of what is run there",
	},
	{
		"deployer/kube/manifest",
		[]string{"deployer/run", "deployer/pod", "deployer/settings", "deployer/folder"},
		"the objects of a run are made of plain data, and nothing is sent",
	},
	{
		"deployer/kube/halt",
		[]string{
			"deployer/run", "deployer/pod", "deployer/settings", "deployer/folder",
			"deployer/kube/cluster", "deployer/kube/manifest",
		},
		"how a run is ended",
	},
	{
		"deployer/kube/saved",
		[]string{"deployer/run", "deployer/folder"},
		"the record as one file, which whoever has it reads without a cluster",
	},
	{"deployer/port", []string{"deployer/run"}, "where servers listen follows from what they are"},
	{"deployer/kube/portforward", nil, "connections are dealt over pods whatever goes through them"},
	{
		"deployer/kube/rollout",
		[]string{
			"deployer/run", "deployer/pod", "deployer/settings", "deployer/folder",
			"deployer/kube/cluster", "deployer/kube/manifest",
		},
		"how the pods of a server are changed",
	},
	{
		"deployer/kube/reach",
		[]string{
			"deployer/run", "deployer/pod", "deployer/settings", "deployer/folder",
			"deployer/kube/cluster", "deployer/kube/manifest",
		},
		"how callers outside of a cluster reach a server",
	},
	{
		"deployer/kube/mirror",
		[]string{
			"deployer/run", "deployer/pod", "deployer/settings", "deployer/folder", "deployer/port",
			"deployer/kube/cluster", "deployer/kube/manifest", "deployer/kube/halt", "deployer/kube/saved",
			"deployer/kube/portforward", "deployer/kube/reach", "deployer/kube/rollout",
			"deployer/collect", "deployer/collect/archive", "deployer/collect/follow", "deployer/tensorboard",
		},
		"the record is written from what the cluster and the run's monitor say",
	},
	{
		"deployer/kube",
		[]string{
			"deployer/port", "deployer/run", "deployer/pod", "deployer/settings", "deployer/folder", "deployer/record",
			"deployer/pod/ship", "deployer/kube/...", "deployer/image/...",
			"deployer/collect", "deployer/collect/archive", "deployer/collect/follow", "deployer/tensorboard",
		},
		"a target knows no other target",
	},
	{
		"deployer/pod",
		[]string{"deployer/run"},
		"the process in a pod and the target that reads it agree here, and on this",
	},
	{
		"deployer/collect/send",
		[]string{"deployer/collect"},
		"every pod unpacks it, and what a pod is to send is known to its caller",
	},
	{
		"deployer/collect/serve",
		[]string{"deployer/collect", "deployer/collect/archive"},
		"the monitor copies files, and knows nothing of what is in them",
	},
	{
		"deployer/collect/follow",
		[]string{"deployer/collect"},
		"how the monitor is reached, and where files are kept, is the caller's",
	},
	{
		"deployer/collect/oci",
		[]string{"deployer/collect", "deployer/collect/archive", "deployer/image/registry"},
		"it is linked into the monitor's program alone",
	},
	{"deployer/collect/archive", nil, "files are packed whatever they are"},
	{"deployer/collect", nil, "the pods, the monitor and its readers agree here, and on this"},
	{"deployer/run", nil, "the types that all packages share depend on none of them"},
	{
		"deployer/folder",
		[]string{"deployer/run"},
		"the agent and the engines share it, and nothing else of the deployer",
	},
	{
		"deployer/kept",
		[]string{"deployer/run", "deployer/folder"},
		"the agent keeps what trials wrote by it, and it knows nothing of processes",
	},
	{
		"deployer/tensorboard",
		[]string{"deployer/run", "deployer/folder"},
		"whoever looks after a run may show one, wherever the run is",
	},
	{
		"deployer/engine/train",
		[]string{
			"deployer/engine/train/...", "deployer/engine", "deployer/run", "deployer/folder", "deployer/tensorboard",
		},
		"the monitor runs in pods and beside local trials, without the rest",
	},
	{
		"deployer/engine/serve",
		[]string{"deployer/engine", "deployer/run", "deployer/folder", "deployer/port"},
		"a server's monitor runs beside its workers, without the rest",
	},
	{"deployer/engine", []string{"deployer/run", "deployer/folder"}, "taking a run over is the same for both engines"},
	{
		"deployer/view",
		[]string{"deployer/view/...", "deployer/run"},
		"what people see is a fold of events, and needs no target",
	},
	{"deployer/record", []string{"deployer/run", "deployer/folder"}, "reading a run needs no target"},
	{
		"deployer/local",
		[]string{"deployer/record", "deployer/run", "deployer/folder"},
		"a target acts; what it knows of runs it reads as everybody does",
	},
	{
		"deployer",
		[]string{"deployer/...", "converter/program", "converter/session"},
		"deployer and converter meet in the program folder alone",
	},
	{
		"agent/setup",
		[]string{"deployer/pod", "deployer/folder", "deployer/run"},
		"what a pod does before it starts anything is the same for a trial and a server",
	},
	{
		"agent/server",
		[]string{
			"agent", "agent/frame", "agent/front", "agent/front/...", "deployer/engine", "deployer/engine/serve",
			"deployer/run", "deployer/folder", "deployer/kept", "deployer/port",
		},
		"it joins the engine of servers with what executes its orders, on a machine and in a pod",
	},
	{
		"agent",
		[]string{"agent/...", "deployer/run", "deployer/folder", "deployer/kept"},
		"the agent is the first process of every trial, and must stay small",
	},
	{
		"kernel",
		[]string{"kernel/...", "internal/talk"},
		"the kernel relays messages and knows neither programs nor runs",
	},
	{
		"converter/requirements",
		[]string{"converter/...", "internal/interpreter"},
		"what a script needs is read in the interpreter that it is meant for, and without a network",
	},
	{"converter", []string{"converter/..."}, "the converter knows neither sockets nor Kubernetes nor runs"},
	{"jupyter-ext", []string{"jupyter-ext/..."}, "the module is carried by every binary and knows none of them"},
	{"cmd", []string{"..."}, "commands put the packages together"},
	{"test", []string{"..."}, "tests may use everything"},
	{".", nil, "the version is what everything else may import"},
}

// ofFiles and ofOthers do input and output: the first as they are imported, the second also through others.
var (
	ofFiles  = []string{"os", "os/..."}
	ofOthers = []string{"net", "net/http", product + "/internal/atomicfile"}
)

// denied are packages from outside the product that a folder may not use. Of a package that fmt and others need
// themselves, such as os, only the import as it is written counts; of the rest also what is reached through others.
// "a/..." is a and all below.
var denied = []struct {
	folder  string
	imports []string // as they are written
	reaches []string // directly or through others
	reason  string
}{
	{"internal/distribution", ofFiles, ofOthers, "the leaves do no I/O"},
	{"internal/prose", ofFiles, ofOthers, "the leaves do no I/O"},
	{"internal/usererror", ofFiles, ofOthers, "the leaves do no I/O"},
	{"internal/talk", ofFiles, ofOthers, "it reads and writes what it is given"},
	{"deployer/run", ofFiles, ofOthers, "plain types do no I/O"},
	{"deployer/view", ofFiles, ofOthers, "what people see is a function of events"},
	{
		"converter",
		nil,
		[]string{"net", "net/http", "github.com/go-zeromq/..."},
		"the converter knows neither sockets nor runs",
	},
	{
		"deployer/collect/send",
		nil,
		[]string{"net", "net/http"},
		"the program that each pod unpacks is to stay small: net would add 110 kB, net/http 1.4 MB",
	},
	{".", []string{"io/ioutil"}, nil, "it is deprecated"},
	{".", []string{"log"}, nil, "messages go where the caller sent them; log/slog for the rest"},
}

// excused are imports that are denied to all others, by folder.
var excused = map[string]string{"agent/front/librarylog": "log"} // it keeps others from using it

// TestImportsRunDownward checks all dependencies of a package, the direct ones and those through others.
func TestImportsRunDownward(t *testing.T) {
	for _, p := range packages(t) {
		t.Run(folderOf(p.ImportPath), func(t *testing.T) {
			for _, complaint := range misplaced(p) {
				t.Error(complaint)
			}
		})
	}
}

// misplaced names what a package reaches and may not.
func misplaced(p goPackage) []string {
	folder := folderOf(p.ImportPath)
	i := slices.IndexFunc(layers, func(l layer) bool { return within(folder, l.folder+"/...") })
	if i < 0 {
		return []string{folder + " belongs to no layer: name it in imports_test.go, or put it elsewhere"}
	}
	const reaches = "%s reaches %s, directly or through another package: %s"
	var complaints []string
	complain := func(format, name, reason string) {
		complaints = append(complaints, fmt.Sprintf(format, folder, name, reason))
	}
	allowed := slices.Concat([]string{folder}, everywhere, layers[i].may)
	for _, dependency := range p.Deps {
		if dependency != product && !strings.HasPrefix(dependency, product+"/") {
			continue
		}
		if target := folderOf(dependency); !matches(target, allowed) {
			complain(reaches, target, layers[i].reason)
		}
	}
	for _, d := range denied {
		if d.folder != "." && !within(folder, d.folder+"/...") {
			continue
		}
		for _, name := range p.Imports {
			if matches(name, d.imports) && excused[folder] != name {
				complain("%s imports %s: %s", name, d.reason)
			}
		}
		for _, name := range p.Deps {
			if matches(name, d.reaches) {
				complain(reaches, name, d.reason)
			}
		}
	}
	return complaints
}

// The rules complain about what they are there for.
func TestMisplacedImportsAreNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		p    goPackage
		want string
	}{
		{
			"upward", goPackage{
				ImportPath: product + "/kernel/wire",
				Deps:       []string{product + "/deployer/run"},
			}, "kernel/wire reaches deployer/run",
		},
		{
			"from the side", goPackage{
				ImportPath: product + "/deployer/run",
				Deps:       []string{product + "/deployer/view"},
			}, "deployer/run reaches deployer/view",
		},
		{"a folder that is new", goPackage{ImportPath: product + "/panel"}, "panel belongs to no layer"},
		{
			"I/O in plain types", goPackage{
				ImportPath: product + "/deployer/run",
				Imports:    []string{"os/exec"},
			}, "deployer/run imports os/exec",
		},
		{
			"sockets through others", goPackage{
				ImportPath: product + "/converter/slicer",
				Deps:       []string{"net"},
			}, "converter/slicer reaches net",
		},
		{"a logger", goPackage{ImportPath: product + "/agent", Imports: []string{"log"}}, "agent imports log"},
		{
			"downward", goPackage{
				ImportPath: product + "/deployer/local",
				Deps:       []string{product + "/deployer/run", "net"},
			}, "",
		},
		{
			"os through fmt", goPackage{
				ImportPath: product + "/deployer/run", Deps: []string{"os"},
				Imports: []string{"fmt"},
			}, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(misplaced(c.p), "\n")
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// matches reports whether one of the patterns fits.
func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return within(name, pattern) })
}

func folderOf(importPath string) string {
	return path.Clean("./" + strings.TrimPrefix(strings.TrimPrefix(importPath, product), "/"))
}

// within reports whether a folder or a package matches a pattern of the tables.
func within(folder, pattern string) bool {
	if pattern == "..." {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return folder == base || below && base != "." && strings.HasPrefix(folder, base+"/")
}

// TestEveryPackageSaysWhatItIsFor reads the files, since go list does not show the comment of a package that has
// tests alone.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		t.Run(folderOf(p.ImportPath), func(t *testing.T) {
			files := slices.Concat(p.GoFiles, p.CgoFiles)
			if len(files) == 0 {
				files = slices.Concat(p.TestGoFiles, p.XTestGoFiles)
			}
			var commented []string
			for _, name := range files {
				path := filepath.Join(p.Dir, name)
				file, err := parser.ParseFile(token.NewFileSet(), path, nil,
					parser.PackageClauseOnly|parser.ParseComments)
				if err != nil {
					t.Fatal(err)
				}
				if file.Doc != nil && file.Doc.Text() != "" {
					commented = append(commented, name)
				}
			}
			if len(commented) != 1 {
				t.Errorf(
					"%s has %d package comments %v, want one: say what it is for, what to read first and what it may "+
						"import",
					folderOf(p.ImportPath),
					len(commented),
					commented,
				)
			}
		})
	}
}

func TestNoPackageIsCalledUtil(t *testing.T) {
	for _, p := range packages(t) {
		t.Run(folderOf(p.ImportPath), func(t *testing.T) {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, p.Name) {
				t.Errorf("package %s: name it after what it does", folderOf(p.ImportPath))
			}
		})
	}
}
