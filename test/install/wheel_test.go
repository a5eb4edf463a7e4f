package install_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/test/venv"
)

// output runs a command in the clone and answers its standard output; what it
// says on standard error is shown if it fails.
func output(t *testing.T, environment []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = repository(t)
	command.Env = append(os.Environ(), environment...)
	var said strings.Builder
	command.Stderr = &said
	text, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(arguments, " "), err, text, said.String())
	}
	return string(text)
}

// buildWheel builds the programs and packs them for this machine.
func buildWheel(t *testing.T) string {
	t.Helper()
	bin, out := t.TempDir(), t.TempDir()
	output(t, nil, "tools/build-programs", bin)
	return strings.TrimSpace(output(t, nil, "go", "run", "./cmd/internal/wheel", "-bin", bin, "-out", out))
}

// newPrefix makes a virtual environment without our wheel. The packages that it
// depends on are the test environment's, seen through a path file, so that
// nothing is downloaded.
func newPrefix(t *testing.T) string {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "prefix")
	python := venv.Python(t)
	output(t, nil, python, "-m", "venv", prefix)
	const purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
	packages := output(t, nil, python, "-c", purelib)
	site := strings.TrimSpace(output(t, nil, filepath.Join(prefix, "bin", "python"), "-c", purelib))
	if err := os.WriteFile(filepath.Join(site, "test-environment.pth"), []byte(packages), 0o600); err != nil {
		t.Fatal(err)
	}
	return prefix
}

// files lists the files below a folder, without the caches that Python writes
// whenever it imports something.
func files(t *testing.T, folder string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if item.IsDir() {
			if item.Name() == "__pycache__" && !strings.Contains(path, "metaml") {
				return fs.SkipDir
			}
			return nil
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestTheWheelIsAllThatAUserNeeds(t *testing.T) {
	wheel := buildWheel(t)
	prefix := newPrefix(t)
	bin := filepath.Join(prefix, "bin")
	python := filepath.Join(bin, "python")
	output(t, nil, python, "-m", "pip", "--version") // fills pip's own caches
	before := files(t, prefix)

	// With dependencies: pip finds ipykernel through the path file, or fails.
	output(t, nil, python, "-m", "pip", "install", "--no-index", wheel)
	var programs []string
	for _, name := range files(t, bin) {
		if !slices.Contains(before, "bin/"+name) {
			programs = append(programs, name)
		}
	}
	want := []string{
		"jupyter-metaml-nbconvert", "metaml", "metaml-agent", "metaml-build", "metaml-kernel",
		"metaml-nbconvert",
	}
	if diff := cmp.Diff(want, programs); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}

	most := map[pod.Program]int{pod.Trial: 2, pod.Server: 4, pod.Monitor: 4} // parts
	for _, program := range ship.Programs {
		for _, arch := range ship.Architectures {
			name := pod.BinaryName(program, arch)
			data, err := os.ReadFile(filepath.Join(prefix, ship.Installed, name))
			if parts := len(ship.Parts(data)); err != nil || parts > most[program] {
				t.Errorf("%s comes in %d parts, want %d at most: %v", name, parts, most[program], err)
			}
		}
	}

	// Not activated: the prefix's bin folder is not on the PATH, and nothing says VIRTUAL_ENV.
	state := t.TempDir()
	environment := []string{
		"PATH=" + os.Getenv("PATH"), "VIRTUAL_ENV=",
		"JUPYTER_RUNTIME_DIR=" + filepath.Join(state, "runtime"), "JUPYTER_DATA_DIR=" + filepath.Join(state, "jupyter"),
		"IPYTHONDIR=" + filepath.Join(state, "ipython"), "XDG_DATA_HOME=" + filepath.Join(state, "data"),
	}
	t.Run("the kernel is the prefix's Python", func(t *testing.T) {
		said := output(t, environment, python, filepath.Join("test", "install", "run_kernel.py"))
		lines := strings.Split(strings.TrimSpace(said), "\n")
		wantLines := []string{realPath(t, prefix), "trial saw 3", "succeeded"}
		if diff := cmp.Diff(wantLines, lines); diff != "" {
			t.Errorf("cells printed (-want +got):\n%s", diff)
		}
	})
	t.Run("jupyter knows the subcommand", func(t *testing.T) {
		script := output(t, environment, python, "-m", "jupyter", "metaml-nbconvert", "examples/digits.ipynb",
			"--stdout")
		if !strings.Contains(script, "def train_model(learning_rate") {
			t.Errorf("jupyter metaml-nbconvert printed no script with the function:\n%s", script)
		}
	})
	t.Run("the script example runs under plain python", func(t *testing.T) {
		said := output(t, environment, python, "examples/train.py")
		want := regexp.MustCompile(`trial [0-3] of train-model-\d+ reads 9\d\.\d% of the held-out digits`)
		if !want.MatchString(said) {
			t.Errorf("examples/train.py said:\n%s", said)
		}
	})
	t.Run("and its network answers", func(t *testing.T) {
		output(t, environment, python, "examples/serve.py")
		said := output(t, environment, python, "examples/serve.py") // behind the same address
		want := regexp.MustCompile(`http://127\.0\.0\.1:\d+/predict reads (?:5[4-9]|60) of 60 held-out digits; ` +
			`.metaml stop (read-digit-\d+). ends it`)
		found := want.FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("examples/serve.py said:\n%s", said)
		}
		output(t, environment, filepath.Join(bin, "metaml"), "stop", found[1])
		if said := output(t, environment, filepath.Join(bin, "metaml"), "show", found[1]); !strings.Contains(said,
			"stopped") {
			t.Errorf("metaml show said:\n%s", said)
		}
	})
	t.Run("uninstalling removes all", func(t *testing.T) {
		output(t, nil, python, "-m", "pip", "uninstall", "--yes", "metaml")
		if diff := cmp.Diff(before, files(t, prefix)); diff != "" {
			t.Errorf("files before and after (-before +after):\n%s", diff)
		}
	})
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
