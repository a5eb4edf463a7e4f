package install_test

import (
	"archive/zip"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/test/venv"
)

// TestPipAndUVBuildTheSameWheel, from a clone and from the source archive: file by file what cmd/internal/wheel packs
// of the programs that `make build` makes.
func TestPipAndUVBuildTheSameWheel(t *testing.T) {
	want := contents(t, buildWheel(t))
	clone := filepath.Join(t.TempDir(), "clone")
	copyTracked(t, clone)
	t.Run("pip wheel in a clone", func(t *testing.T) {
		same(t, want, contents(t, pipWheel(t, clone)))
	})
	t.Run("the source archive", func(t *testing.T) {
		folder := t.TempDir()
		for _, arguments := range [][]string{{"init", "--quiet"}, {"add", "--all"}} {
			output(t, nil, "git", append([]string{"-C", clone}, arguments...)...)
		}
		archive := filepath.Join(folder, hook(t, clone, "build_sdist", folder))
		first, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, contents(t, pipWheel(t, archive)))
		// An archive is made of one that was unpacked, too, and is the same again.
		output(t, nil, "tar", "-xzf", archive, "-C", folder)
		unpacked := strings.TrimSuffix(archive, ".tar.gz")
		again := t.TempDir()
		second, err := os.ReadFile(filepath.Join(again, hook(t, unpacked, "build_sdist", again)))
		if err != nil || sha256.Sum256(first) != sha256.Sum256(second) {
			t.Errorf("archives of %d and %d bytes differ (%v)", len(first), len(second), err)
		}
	})
	t.Run("the metadata before the build", func(t *testing.T) {
		folder := t.TempDir()
		info := hook(t, clone, "prepare_metadata_for_build_wheel", folder)
		data, err := os.ReadFile(filepath.Join(folder, info, "METADATA"))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(data); got != want[info+"/METADATA"] {
			t.Errorf("it is not the wheel's:\n%s", data)
		}
	})
}

// TestWithoutGoABuildSaysWhatIsMissing in one sentence, also to those who call pip.
func TestWithoutGoABuildSaysWhatIsMissing(t *testing.T) {
	m := newMachine(t)
	m.remove("go")
	command := exec.CommandContext(t.Context(), venv.Python(t), "-m", "pip", "wheel", "--no-index", "--no-deps", ".")
	command.Dir = repository(t)
	command.Env = []string{"PATH=" + m.bin, "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	said, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "metaml: Go ") || strings.Contains(string(said), "Traceback") {
		t.Errorf("%v:\n%s", err, said)
	}
}

// pipWheel builds a wheel as `pip install .` does, and answers its path. Nothing is downloaded: the backend needs no
// package.
func pipWheel(t *testing.T, source string) string {
	t.Helper()
	out := t.TempDir()
	output(t, nil, venv.Python(t), "-m", "pip", "wheel", "--no-index", "--no-deps", "--wheel-dir", out, source)
	found, err := filepath.Glob(filepath.Join(out, "*.whl"))
	if err != nil || len(found) != 1 {
		t.Fatalf("pip wheel made %v (%v)", found, err)
	}
	return found[0]
}

// hook calls a hook of the backend, as pip and uv do, and answers what it returns.
func hook(t *testing.T, clone, name, folder string) string {
	t.Helper()
	const call = "import sys; sys.path.insert(0, 'tools/backend'); import metaml_build; print(getattr(metaml_build, " +
		"sys.argv[1])(sys.argv[2]))"
	command := exec.CommandContext(t.Context(), venv.Python(t), "-B", "-c", call, name, folder)
	command.Dir = clone
	said, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(said))
}

// contents is the digest of each file in a wheel.
func contents(t *testing.T, wheel string) map[string][sha256.Size]byte {
	t.Helper()
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	all := map[string][sha256.Size]byte{"the name": sha256.Sum256([]byte(filepath.Base(wheel)))}
	for _, file := range archive.File {
		reader, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		all[file.Name] = sha256.Sum256(data)
	}
	return all
}

func same(t *testing.T, want, got map[string][sha256.Size]byte) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and their digests (-want +got):\n%s", diff)
	}
}
