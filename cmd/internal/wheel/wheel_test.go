package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
)

// program compiles a program that does nothing, for some machine.
func program(t *testing.T, goos, goarch string) []byte {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "main.go"), "package main\n\nfunc main() {}\n")
	out := filepath.Join(folder, "program")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out,
		filepath.Join(folder, "main.go"))
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// small makes a folder of Linux binaries that do nothing and a small module; metadata and licence are the clone's own.
func small(t *testing.T) inputs {
	t.Helper()
	root, bin, module := filepath.Join("..", "..", ".."), t.TempDir(), t.TempDir()
	content := program(t, "linux", "amd64")
	for _, name := range binaries {
		write(t, filepath.Join(bin, name), string(content))
	}
	for _, arch := range ship.Architectures {
		var packed strings.Builder
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(program(t, "linux", arch)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, p := range ship.Programs {
			write(t, filepath.Join(bin, pod.BinaryName(p, arch)), packed.String())
		}
	}
	write(t, filepath.Join(module, "metaml", "__init__.py"), "__all__ = []\n")
	write(t, filepath.Join(module, "metaml", "py.typed"), "")
	write(t, filepath.Join(module, "metaml", "__pycache__", "__init__.cpython-311.pyc"), "cache")
	write(t, filepath.Join(module, "tests", "test_it.py"), "")
	return inputs{
		bin: bin, module: module,
		project: filepath.Join(root, "pyproject.toml"), licence: filepath.Join(root, "LICENSE"),
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *zip.Reader {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func content(t *testing.T, file *zip.File) []byte {
	t.Helper()
	reader, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheWheelHoldsModuleBinariesKernelspecAndExtension(t *testing.T) {
	in := small(t)
	path, err := build(in, t.TempDir(), "linux_x86_64")
	if err != nil {
		t.Fatal(err)
	}
	v := "metaml-" + metaml.Version()
	if got, want := filepath.Base(path), v+"-py3-none-linux_x86_64.whl"; got != want {
		t.Errorf("the wheel is called %q, want %q", got, want)
	}
	var names, executable []string
	for _, file := range open(t, path).File {
		names = append(names, file.Name)
		if file.Mode()&0o111 != 0 {
			executable = append(executable, strings.TrimPrefix(file.Name, v+".data/scripts/"))
		}
	}
	want := []string{
		v + ".data/data/lib/metaml/metaml-monitor-linux-amd64.gz",
		v + ".data/data/lib/metaml/metaml-monitor-linux-arm64.gz",
		v + ".data/data/lib/metaml/metaml-pod-linux-amd64.gz",
		v + ".data/data/lib/metaml/metaml-pod-linux-arm64.gz",
		v + ".data/data/lib/metaml/metaml-server-linux-amd64.gz",
		v + ".data/data/lib/metaml/metaml-server-linux-arm64.gz",
		v + ".data/data/share/jupyter/kernels/metaml/kernel.json",
		v + ".data/data/share/jupyter/kernels/metaml/logo-svg.svg",
		v + ".data/data/share/jupyter/labextensions/metaml/install.json",
		v + ".data/data/share/jupyter/labextensions/metaml/package.json",
		v + ".data/data/share/jupyter/labextensions/metaml/static/remoteEntry.js",
		v + ".data/scripts/jupyter-metaml-nbconvert",
		v + ".data/scripts/metaml",
		v + ".data/scripts/metaml-agent",
		v + ".data/scripts/metaml-build",
		v + ".data/scripts/metaml-kernel",
		v + ".data/scripts/metaml-nbconvert",
		"metaml/__init__.py",
		"metaml/py.typed",
		v + ".dist-info/METADATA",
		v + ".dist-info/WHEEL",
		v + ".dist-info/licenses/LICENSE",
		v + ".dist-info/licenses/THIRD-PARTY.txt",
		v + ".dist-info/RECORD",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append([]string{"jupyter-metaml-nbconvert"}, binaries...), executable); diff != "" {
		t.Errorf("executables (-want +got):\n%s", diff)
	}
}

func TestRecordTellsEveryFilesDigestAndSize(t *testing.T) {
	in := small(t)
	path, err := build(in, t.TempDir(), "linux_x86_64")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	var record string
	for _, file := range open(t, path).File {
		data := content(t, file)
		if strings.HasSuffix(file.Name, "/RECORD") {
			record = string(data)
			fmt.Fprintf(&want, "%s,,\n", file.Name)
			continue
		}
		digest := sha256.Sum256(data)
		fmt.Fprintf(&want, "%s,sha256=%s,%d\n", file.Name, base64.RawURLEncoding.EncodeToString(digest[:]), len(data))
	}
	if diff := cmp.Diff(want.String(), record); diff != "" {
		t.Errorf("RECORD (-want +got):\n%s", diff)
	}
}

func TestTheKernelspecFindsTheKernelFromItsOwnFolder(t *testing.T) {
	in := small(t)
	path, err := build(in, t.TempDir(), "linux_x86_64")
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Argv []string `json:"argv"`
	}
	for _, file := range open(t, path).File {
		if strings.HasSuffix(file.Name, "/kernel.json") {
			if err := json.Unmarshal(content(t, file), &spec); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(spec.Argv) == 0 {
		t.Fatal("kernel.json has no argv")
	}
	kernel := strings.Replace(spec.Argv[0], "{resource_dir}", "/prefix/share/jupyter/kernels/metaml", 1)
	if got, want := filepath.Clean(kernel), "/prefix/bin/metaml-kernel"; got != want {
		t.Errorf("an environment in /prefix starts %q, want %q", got, want)
	}
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	in := small(t)
	var packed [2][]byte
	for i := range packed {
		path, err := build(in, t.TempDir(), "linux_x86_64")
		if err != nil {
			t.Fatal(err)
		}
		if packed[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		// What a checkout changes, a wheel must not show.
		if err := os.Chmod(filepath.Join(in.module, "metaml", "__init__.py"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("two wheels of the same inputs differ")
	}
}

func TestAnOlderVersionsWheelMakesRoom(t *testing.T) {
	in := small(t)
	out := t.TempDir()
	old := filepath.Join(out, "metaml-0.0.1-py3-none-linux_x86_64.whl")
	other := filepath.Join(out, "metaml-0.0.1-py3-none-macosx_12_0_arm64.whl")
	write(t, old, "")
	write(t, other, "")
	if _, err := build(in, out, "linux_x86_64"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Error("the older wheel of the same platform is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another platform's wheel went: %v", err)
	}
}

func TestAMissingBinaryIsNamed(t *testing.T) {
	for _, name := range []string{
		"metaml-agent", "metaml-pod-linux-arm64.gz", "metaml-monitor-linux-amd64.gz", "metaml-server-linux-amd64.gz",
	} {
		t.Run(name, func(t *testing.T) {
			in := small(t)
			if err := os.Remove(filepath.Join(in.bin, name)); err != nil {
				t.Fatal(err)
			}
			_, err := build(in, t.TempDir(), "linux_x86_64")
			if err == nil || !strings.Contains(err.Error(), `"`+name+`"`) ||
				!strings.Contains(err.Error(), "make build") {
				t.Errorf("error %v, want the name and what to run", err)
			}
		})
	}
}
