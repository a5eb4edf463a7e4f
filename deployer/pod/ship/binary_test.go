package ship

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/internal/usererror"
)

func TestAProgramForPodsIsFoundWhereItIsInstalled(t *testing.T) {
	for _, c := range []struct{ name, folder string }{
		{"beside the programs", "bin"},
		{"where a wheel puts it", Installed},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := t.TempDir()
			path := filepath.Join(prefix, c.folder, pod.BinaryName(pod.Monitor, "arm64"))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("program"), 0o600); err != nil {
				t.Fatal(err)
			}
			folders := []string{filepath.Join(prefix, "elsewhere", "bin"), filepath.Join(prefix, "bin")}
			b, err := find(folders, pod.Monitor, "arm64")
			const digest = "1310ca2c8932dbd118668bd97442558a3e1f546b5e15c69699dfbd6024f548d8"
			if err != nil || string(b.Data) != "program" || b.Digest != digest || b.Arch != "arm64" {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

func TestAProgramForPodsThatIsNotInstalledIsNamed(t *testing.T) {
	prefix := t.TempDir()
	path := filepath.Join(prefix, "bin", pod.BinaryName(pod.Trial, "amd64"))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(prefix, "bin")
	for _, c := range []struct {
		program    pod.Program
		arch, text string
	}{
		{pod.Trial, "arm64", "metaml-pod-linux-arm64.gz is not installed: looked in " + folder + " and "},
		{pod.Monitor, "amd64", "metaml-monitor-linux-amd64.gz is not installed: looked in " + folder + " and "},
	} {
		t.Run(string(c.program)+" for "+c.arch, func(t *testing.T) {
			_, err := find([]string{folder}, c.program, c.arch)
			if u, ok := errors.AsType[*usererror.Error](err); !ok || !strings.HasPrefix(u.Text, c.text) ||
				!strings.Contains(u.Hint, string(c.program)) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
