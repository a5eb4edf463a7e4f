package install_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// tinyWheel writes a wheel with one module `tiny` into folder, and answers the
// line that pins it in a lock.
func tinyWheel(t *testing.T, folder, version, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	info := "tiny-" + version + ".dist-info/"
	for _, file := range [][2]string{
		{"tiny.py", text},
		{info + "METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", "tiny.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		writer, err := archive.Create(file[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "tiny-"+version+"-py3-none-any.whl"), buffer.String())
	return fmt.Sprintf("tiny==%s --hash=sha256:%x\n", version, sha256.Sum256(buffer.Bytes()))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environment is what make demo and make test call, with packages from a folder.
type environment struct {
	t                    *testing.T
	folder, lock, wheels string
}

func newEnvironment(t *testing.T) environment {
	t.Helper()
	base := t.TempDir()
	return environment{
		t: t, folder: filepath.Join(base, "venv"), lock: filepath.Join(base, "lock.txt"), wheels: t.TempDir(),
	}
}

// try brings the environment up to date and answers what was said.
func (e environment) try(more ...string) (string, error) {
	e.t.Helper()
	command := exec.CommandContext(e.t.Context(), venv.Python(e.t),
		append([]string{"tools/venv.py", e.folder, e.lock}, more...)...)
	command.Dir = repository(e.t)
	command.Env = append(os.Environ(), "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+e.wheels)
	said, err := command.CombinedOutput()
	return string(said), err
}

func (e environment) make(more ...string) string {
	e.t.Helper()
	said, err := e.try(more...)
	if err != nil {
		e.t.Fatalf("tools/venv.py: %v\n%s", err, said)
	}
	return said
}

// says runs a line of Python in the environment.
func (e environment) says(code string) string {
	e.t.Helper()
	return strings.TrimSpace(output(e.t, nil, filepath.Join(e.folder, "bin", "python"), "-c", code))
}

func TestAnEnvironmentIsMadeOnceForItsLock(t *testing.T) {
	e := newEnvironment(t)
	write(t, e.lock, tinyWheel(t, e.wheels, "1", "name = 'first'\n"))
	if said := e.make(); !strings.Contains(said, "making") {
		t.Errorf("the first call said %q", said)
	}
	if said := e.make(); said != "" {
		t.Errorf("a second call with the same lock said %q, want silence", said)
	}

	write(t, e.lock, tinyWheel(t, e.wheels, "2", "name = 'second'\n"))
	e.make()
	if got := e.says("import tiny; print(tiny.name)"); got != "second" {
		t.Errorf("after the lock changed, the environment has the %s package", got)
	}
}

func TestAHalfMadeEnvironmentIsMadeAgain(t *testing.T) {
	e := newEnvironment(t)
	write(t, e.lock, tinyWheel(t, e.wheels, "1", "name = 'first'\n"))
	e.make()
	// As after a power cut: packages are missing, and so is the stamp, which comes last.
	if err := os.Remove(filepath.Join(e.folder, ".lock-stamp")); err != nil {
		t.Fatal(err)
	}
	site := e.says("import sysconfig; print(sysconfig.get_path('purelib'))")
	if err := os.Remove(filepath.Join(site, "tiny.py")); err != nil {
		t.Fatal(err)
	}
	e.make()
	if got := e.says("import tiny; print(tiny.name)"); got != "first" {
		t.Errorf("the package is %q, want it back", got)
	}
}

func TestOurWheelIsInstalledOnlyWhenItChanged(t *testing.T) {
	e := newEnvironment(t)
	write(t, e.lock, tinyWheel(t, e.wheels, "1", "name = 'first'\n"))
	local := t.TempDir()
	wheel := filepath.Join(local, "tiny-1-py3-none-any.whl")
	tinyWheel(t, local, "1", "name = 'ours'\n")
	if said := e.make("--wheel", wheel); !strings.Contains(said, "installing tiny-1") {
		t.Errorf("the first call said %q", said)
	}
	if said := e.make("--wheel", wheel); said != "" {
		t.Errorf("with the same wheel it said %q, want silence", said)
	}
	// The version stays while we work on the code, the bytes do not.
	tinyWheel(t, local, "1", "name = 'ours, edited'\n")
	e.make("--wheel", wheel)
	if got := e.says("import tiny; print(tiny.name)"); got != "ours, edited" {
		t.Errorf("after an edit the environment has %q", got)
	}
}

func TestAPackageThatIsNotTheLocksIsRefused(t *testing.T) {
	e := newEnvironment(t)
	pinned := tinyWheel(t, e.wheels, "1", "name = 'first'\n")
	tinyWheel(t, e.wheels, "1", "name = 'replaced'\n")
	write(t, e.lock, pinned)
	said, err := e.try()
	if err == nil || !strings.Contains(said, "DO NOT MATCH THE HASHES") ||
		!strings.Contains(said, "pip could not fill") {
		t.Errorf("error %v and %q, want pip's refusal", err, said)
	}
	if _, err := os.Stat(filepath.Join(e.folder, ".lock-stamp")); !os.IsNotExist(err) {
		t.Error("the environment is stamped as complete")
	}
}
