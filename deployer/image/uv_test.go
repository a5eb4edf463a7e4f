package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/index"
)

// The version of uv that is loaded is the one that the tests have, and so are its files.
func TestUVIsTheOneOfTheTests(t *testing.T) {
	data, err := os.ReadFile("../../requirements/test.txt")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^uv==(\S+) \\\n((?:    --hash=.*\n?)+)`).FindStringSubmatch(string(data))
	if entry == nil || entry[1] != uvVersion {
		t.Fatalf("the tests have %q, and %s is loaded", entry, uvVersion)
	}
	for platform, digest := range uvs {
		t.Run(platform, func(t *testing.T) {
			if !strings.Contains(entry[2], "sha256:"+digest) {
				t.Errorf("%s is the digest of no file of uv %s", digest, uvVersion)
			}
		})
	}
}

// uvWheel is a wheel with a program that says who it is, and its digest.
func uvWheel(t *testing.T) (file index.File, digest string) {
	t.Helper()
	file = index.Wheel(t, "uv", uvVersion, "py3-none-any", map[string]string{
		"uv-" + uvVersion + ".data/scripts/uv": "#!/bin/sh\necho loaded\n",
	})
	sum := sha256.Sum256(file.Data)
	return file, hex.EncodeToString(sum[:])
}

func TestUVIsLoadedWhereThereIsNone(t *testing.T) {
	file, digest := uvWheel(t)
	m, said := maker(t, index.Serve(t, file))
	for range 2 {
		program, err := m.ownUV(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), program).Output(); err != nil || string(out) != "loaded\n" {
			t.Errorf("it says %q, %v", out, err)
		}
	}
	if len(*said) != 1 || (*said)[0] != "loading uv "+uvVersion {
		t.Errorf("it said %q", *said)
	}
}

func TestWhereUVCannotBeLoadedItIsSaid(t *testing.T) {
	file, digest := uvWheel(t)
	for _, c := range []struct{ name, index, want, digest string }{
		{"an index without it", index.Serve(t), "No matching distribution found for uv==" + uvVersion, digest},
		{"another file", index.Serve(t, file), "THESE PACKAGES DO NOT MATCH THE HASHES", strings.Repeat("0", 64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := maker(t, c.index)
			_, err := m.ownUV(t.Context(), c.digest)
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != usererror.CodeUV || !strings.Contains(is.Text, c.want) ||
				!strings.Contains(is.Hint, "pip install uv") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAUVThatIsNamedIsTheOne(t *testing.T) {
	m, _ := maker(t, "http://127.0.0.1:1")
	m.UV = "/nowhere/uv"
	if _, err := m.uv(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no uv at /nowhere/uv") {
		t.Errorf("got %v", err)
	}
}

func TestDoctorSaysWhichUV(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"uv": "echo 'uv 9.9.9 (abc 2026-01-01)'", "other": "echo hello"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, named, path, want string }{
		{"on the PATH", "", folder, "uv 9.9.9, " + folder + "/uv"},
		{"named", folder + "/uv", "", "uv 9.9.9, " + folder + "/uv"},
		{"none", "", t.TempDir(), "the one of the session's environment, else pip loads uv " + uvVersion + " once"},
		{"no uv", folder + "/other", "", "does not say which uv it is"},
		{"nothing there", folder + "/nowhere", "", "there is no uv at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DescribeUV(t.Context(), c.named, []string{"PATH=" + c.path})
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}
