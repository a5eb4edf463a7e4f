package image

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/index"
)

// smallDisk names the folder of the small disk in the process that has one.
const smallDisk = "METAML_TEST_SMALL_DISK"

// A disk of 1 MiB of the test's own, in a mount namespace that ends with it, is full in the middle of a wheel. When it
// has room again the same succeeds.
func TestAFullDiskIsSaid(t *testing.T) {
	at := os.Getenv(smallDisk)
	if at == "" {
		if _, err := exec.LookPath("unshare"); err != nil {
			t.Skip("no unshare: namespaces are Linux's")
		}
		dir := t.TempDir()
		inner := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c",
			`mount -t tmpfs -o size=1m small "$1" && exec "$0" -test.run '^TestAFullDiskIsSaid$' -test.v`, os.Args[0],
			dir)
		inner.Env = append(os.Environ(), smallDisk+"="+dir)
		if out, err := inner.CombinedOutput(); err != nil ||
			!strings.Contains(string(out), "--- PASS: TestAFullDiskIsSaid") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	noise, r := make([]byte, 400<<10), rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	s := newStore(t)
	wheel := index.Wheel(t, "x", "1.0", "py3-none-any", map[string]string{"x.bin": string(noise)})
	m, _ := maker(t, index.Serve(t, wheel))
	m.Cache = at
	request := Request{
		Packages: resolve.Input{Requirements: "x==1.0\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"),
	}
	filler := filepath.Join(at, "filler")
	if err := os.WriteFile(filler, make([]byte, 800<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := m.Make(t.Context(), request)
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok || is.Code != usererror.CodeDiskFull || is.Hint == "" {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Make(t.Context(), request); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
