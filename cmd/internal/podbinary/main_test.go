package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/test/venv"
)

// What comes out is gzip as any program reads it, and a pod finds and starts what went in.
func TestAProgramComesOutAsItWentIn(t *testing.T) {
	program := []byte("#!/bin/sh\necho started; exit 7\n" + strings.Repeat("# more\n", 1000))
	dir := t.TempDir()
	path := filepath.Join(dir, strings.TrimSuffix(pod.BinaryName(pod.Trial, runtime.GOARCH), ".gz"))
	if err := os.WriteFile(path, program, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compress(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
	packed, err := os.ReadFile(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, program) {
		t.Errorf("gzip gives %d bytes, want %d: %v", len(plain), len(program), err)
	}

	if err := os.Rename(path+".gz", filepath.Join(dir, pod.BinaryPart(pod.Trial, runtime.GOARCH, 0))); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(packed)
	command := pod.Start{
		Program: pod.Trial, Python: venv.Python(t), Parts: dir, To: dir, Message: filepath.Join(dir, "message"),
		Digests: map[string]string{runtime.GOARCH: hex.EncodeToString(digest[:])},
	}.Command()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	if out, _ := cmd.CombinedOutput(); string(out) != "started\n" || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("exit code %d, %q", cmd.ProcessState.ExitCode(), out)
	}
	whole, err := os.ReadFile(filepath.Join(dir, string(pod.Trial)))
	if err != nil || !bytes.Equal(whole, program) {
		t.Errorf("a pod starts %d bytes, want %d: %v", len(whole), len(program), err)
	}
}
