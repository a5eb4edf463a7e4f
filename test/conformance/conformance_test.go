// Package conformance tests the kernel as front ends see it: it builds metaml-kernel,
// writes kernelspecs for it, and runs the Python tests of this folder by pytest, with
// the newest ipykernel and with the oldest that is supported.
package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/kernel/kernelspec"
	"github.com/metaml/metaml/test/venv"
)

func run(t *testing.T, dir string, env []string, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	// Kernels that a failed test leaves behind must not keep the pipes open.
	out, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, _ := os.ReadFile(out.Name())
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, said)
	}
	if len(said) > 0 {
		t.Logf("%s", said)
	}
}

// install makes a kernelspec that starts the kernel in folder bin and wraps python.
func install(t *testing.T, jupyter, name, bin, python string) {
	t.Helper()
	spec := filepath.Join(jupyter, "kernels", name)
	if err := os.MkdirAll(spec, 0o750); err != nil {
		t.Fatal(err)
	}
	argv := []string{filepath.Join(bin, "metaml-kernel"), "-f", "{connection_file}", "--python", python}
	if err := os.WriteFile(filepath.Join(spec, "kernel.json"), kernelspec.JSON(argv, ""), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKernel(t *testing.T) {
	t.Parallel()
	tests := venv.Python(t)
	oldest := venv.Oldest(t)
	bin, scripted := filepath.Join(t.TempDir(), "bin"), filepath.Join(t.TempDir(), "scripted")
	for _, dir := range []string{bin, scripted} {
		if err := os.Mkdir(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "../..", nil, "go", "build", "-o", bin+"/", "./cmd/metaml-kernel", "./cmd/metaml", "./cmd/metaml-agent")
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!%s\nimport sys; sys.path.insert(0, %q)\nimport metaml_script; metaml_script.main()\n",
		tests, here)
	if err := os.WriteFile(filepath.Join(scripted, "metaml"), []byte(script), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(bin, "metaml-kernel"), filepath.Join(scripted, "metaml-kernel")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, wrapped string
		files         []string
	}{
		{
			"newest", tests, []string{
				"test_kernel_suite.py", "test_channels.py", "test_strangers.py", "test_life.py", "test_cells.py",
				"test_sweep.py",
			},
		},
		{"oldest", oldest, []string{"test_kernel_suite.py", "test_life.py", "test_cells.py", "test_sweep.py"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			jupyter := filepath.Join(t.TempDir(), "jupyter")
			install(t, jupyter, "metaml", bin, c.wrapped)
			install(t, jupyter, "metaml-scripted", scripted, c.wrapped)
			runtime, err := os.MkdirTemp("", "mk") //nolint:usetesting // a socket's path has 108 bytes
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(runtime) })
			// A folder of its own: two pytests at once tidy up each other's.
			argv := append([]string{
				tests, "-m", "pytest", "-c", "pytest.ini", "-x", "--durations=10", "-rs",
				"--basetemp", filepath.Join(t.TempDir(), "pytest"),
			}, c.files...)
			run(t, here, []string{
				"JUPYTER_PATH=" + jupyter, "XDG_RUNTIME_DIR=" + runtime, "IPYTHONDIR=" + t.TempDir(),
				"JUPYTER_CONFIG_DIR=" + t.TempDir(),
				"METAML_TEST_IPYKERNEL=" + c.name, "PYTHONDONTWRITEBYTECODE=1",
				// parso's cache is written in place: a kernel that reads what another is writing has no completions.
				"XDG_CACHE_HOME=" + t.TempDir(),
			}, argv...)
			left, _ := filepath.Glob(filepath.Join(runtime, "metaml-k-*"))
			// Kernels that tests kill leave their folder to the next one's sweep.
			if len(left) > 1 {
				t.Errorf("kernels left folders behind: %v", left)
			}
		})
	}
}
