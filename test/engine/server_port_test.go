package engine_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func TestPorts(t *testing.T) {
	s := newServer(t)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	spec := s.revisionSpec(1)
	spec.Server.Port = held.Addr().(*net.TCPAddr).Port
	var refused *usererror.Error
	_, err = s.Submit(t.Context(), run.Submission{Spec: spec, Program: s.program(double)}, nil)
	if !errors.As(err, &refused) || refused.Code != "port" ||
		!strings.Contains(refused.Text, strconv.Itoa(spec.Server.Port)) || !strings.Contains(refused.Hint, "--port") {
		t.Errorf("a port in use: %v", err)
	}
	elsewhere := s.revisionSpec(1)
	elsewhere.Server.Host = "192.0.2.1"
	_, err = s.Submit(t.Context(), run.Submission{Spec: elsewhere, Program: s.program(double)}, nil)
	if !errors.As(err, &refused) || refused.Code != "host" ||
		!strings.Contains(refused.Text, "192.0.2.1 is no address of this machine") {
		t.Errorf("an address of another machine: %v", err)
	}
	if names := s.names(); len(names) != 0 {
		t.Errorf("something was written: %v", names)
	}
	_ = held.Close()
	s.deploy(spec, double)
	if got := s.load().State.Server.Port(); got != spec.Server.Port {
		t.Errorf("port %d, want %d", got, spec.Server.Port)
	}
	// Another server cannot have it, and the error names the holder; the same server keeps it.
	other := s.revisionSpec(1)
	other.Series, other.Server.Port = "other", spec.Server.Port
	if _, err = s.Submit(t.Context(), run.Submission{Spec: other, Program: s.program(double)}, nil); !errors.As(err,
		&refused) || !strings.Contains(refused.Hint, "metaml stop serve-1") {
		t.Errorf("another server's port: %v", err)
	}
	next := s.revisionSpec(1)
	next.Server.Port = spec.Server.Port
	s.deploy(next, double)
	// To another port, and then to another address on the same one.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	moved := s.revisionSpec(1)
	moved.Server.Port = free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	before := s.url()
	s.deploy(moved, double)
	s.expectAnswer("2", `{"twice":4}`)
	if s.url() == before {
		t.Errorf("still at %s", before)
	}
	s.waitFor("the old port to be given up", func() bool {
		_, _, err := s.post(before, "1")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	everywhere := s.revisionSpec(1)
	everywhere.Server.Port, everywhere.Server.Host = moved.Server.Port, "0.0.0.0"
	s.deploy(everywhere, double)
	s.expectAnswer("2", `{"twice":4}`)
}

// A port below 1024 is refused only to a user without rights, so this runs in a process of the user nobody.
func TestAPortBelow1024(t *testing.T) {
	const inner = "METAML_TEST_LOW_PORT"
	if dir := os.Getenv(inner); dir != "" {
		target := local.In(dir, "unused")
		_, err := target.Submit(t.Context(), run.Submission{
			Spec: run.Spec{
				Series: "serve", Kind: run.Serve,
				Server: &run.ServerSpec{Path: "/predict", Host: "127.0.0.1", Port: 80},
			},
		}, nil)
		var refused *usererror.Error
		if !errors.As(err, &refused) || refused.Code != "port" ||
			!strings.Contains(refused.Text, "port 80 may not be used by this user") {
			t.Errorf("port 80: %v", err)
		}
		return
	}
	//nolint:usetesting // the test's own folder is in one that only we may enter
	dir, err := os.MkdirTemp("/tmp", "metaml-low-port-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil { // for nobody
		t.Fatal(err)
	}
	// A copy of this program, where the user nobody may execute it.
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "engine.test")
	if err := os.WriteFile(binary, self, 0o755); err != nil { // for nobody
		t.Fatal(err)
	}
	out, err := asNobody(t, dir, inner+"="+filepath.Join(dir, "runs"), binary, "-test.run", "^TestAPortBelow1024$",
		"-test.v")
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAPortBelow1024")) {
		t.Errorf("%v\n%s", err, out)
	}
}
