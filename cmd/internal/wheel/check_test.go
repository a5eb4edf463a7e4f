package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestABinaryMustFitTheTag(t *testing.T) {
	linux := program(t, "linux", "amd64")
	arm := program(t, "linux", "arm64")
	mac := program(t, "darwin", "arm64")
	cases := []struct {
		name, tag string
		content   []byte
		says      string // "" for a binary that fits
	}{
		{"static Linux", "manylinux_2_17_x86_64", linux, ""},
		{"this machine's own", "linux_x86_64", linux, ""},
		{"arm", "manylinux_2_17_aarch64", arm, ""},
		{"mac", "macosx_12_0_arm64", mac, ""},
		{"another machine", "manylinux_2_17_x86_64", arm, "not for x86_64"},
		{"another system", "manylinux_2_17_x86_64", mac, "no Linux program"},
		{"Linux on a Mac", "macosx_12_0_arm64", linux, "no macOS program"},
		{"another Mac", "macosx_12_0_x86_64", mac, "not for x86_64"},
		{"an older macOS", "macosx_10_9_arm64", mac, "newer than the 10.9"},
		{"windows", "win_amd64", linux, "not a platform tag"},
		{"text", "linux_x86_64", []byte("#!/bin/sh\n"), "no Linux program"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := check(c.tag, c.content)
			if c.says == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("error %v, want %q in it", err, c.says)
			}
		})
	}
}

// A compiler of this machine links with this machine's C library, which a wheel
// for others must not ask for.
func TestABinaryForANewerGlibcIsRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("glibc is Linux's")
	}
	folder := t.TempDir()
	source, out := filepath.Join(folder, "a.c"), filepath.Join(folder, "a")
	// getrandom came with glibc 2.25.
	write(t, source, "#include <sys/random.h>\nint main(void) { char c; return (int)getrandom(&c, 1, 0); }\n")
	if said, err := exec.CommandContext(t.Context(), "cc", "-o", out, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, said)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	err = check("manylinux_2_17_"+machine, content)
	if err == nil || !strings.Contains(err.Error(), "newer than the 2.17") {
		t.Errorf("error %v, want the glibc that it needs", err)
	}
	if err := check("manylinux_2_99_"+machine, content); err != nil {
		t.Errorf("refused on a new system: %v", err)
	}
}
