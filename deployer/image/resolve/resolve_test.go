package resolve

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/index"
	"github.com/metaml/metaml/test/venv"
)

func resolver(t *testing.T, address string) *Resolver {
	t.Helper()
	uv, err := Find("", venv.Python(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir() // uv writes into it
	return &Resolver{UV: uv, Environ: append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "UV_CACHE_DIR="+home,
		"UV_DEFAULT_INDEX="+address, "UV_HTTP_RETRIES=0", "UV_INDEX=", "UV_FIND_LINKS=", "NO_PROXY=127.0.0.1")}
}

func packages(l *Locked) []string {
	var all []string
	for _, w := range l.Wheels {
		all = append(all, w.Name+" "+w.Version+" "+w.File)
	}
	return all
}

func TestWheelsOfThePlatformAreFound(t *testing.T) {
	later := index.Wheel(t, "later", "2.0", "py3-none-any", nil)
	later.Uploaded = "2026-06-01T00:00:00Z"
	address := index.Serve(t,
		index.Wheel(t, "top", "1.0", "py3-none-any", nil, "fast>=1", "later", `linuxonly; sys_platform == "linux"`,
			`maconly; sys_platform == "darwin"`),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-manylinux_2_17_x86_64", nil),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-manylinux_2_17_aarch64", nil),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-macosx_11_0_arm64", nil),
		index.Wheel(t, "fast", "2.0", "cp311-cp311-manylinux_2_17_x86_64", nil),
		index.Wheel(t, "linuxonly", "3.1", "py3-none-any", nil),
		index.Wheel(t, "later", "1.0", "py3-none-any", nil), later,
	)
	in := Input{Requirements: "top\n", Constraints: "fast==1.0\ntop==1.0\n", Python: "3.11"}
	for _, c := range []struct {
		arch, fast, later string
		newest            time.Time
	}{
		{"amd64", "fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "2.0", time.Time{}},
		{"arm64", "fast-1.0-cp311-cp311-manylinux_2_17_aarch64.whl", "2.0", time.Time{}},
		{
			"amd64", "fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "1.0",
			time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		},
	} {
		t.Run(c.arch+" "+c.later, func(t *testing.T) {
			in.Arch, in.Newest = c.arch, c.newest
			locked, err := resolver(t, address).Resolve(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"fast 1.0 " + c.fast, fmt.Sprintf("later %s later-%[1]s-py3-none-any.whl", c.later),
				"linuxonly 3.1 linuxonly-3.1-py3-none-any.whl", "top 1.0 top-1.0-py3-none-any.whl",
			}
			if d := cmp.Diff(want, packages(locked)); d != "" {
				t.Error(d)
			}
			for _, w := range locked.Wheels {
				if !strings.HasPrefix(w.URL, "http://127.0.0.1:") || len(w.SHA256) != 64 || w.Size == 0 {
					t.Errorf("%+v", w)
				}
			}
		})
	}
}

// An interpreter of the PATH may be a program that starts another, which takes long.
func TestNoInterpreterIsLookedForWhereOneIsNamed(t *testing.T) {
	folder := t.TempDir()
	asked := filepath.Join(folder, "asked")
	script := fmt.Sprintf("#!/bin/sh\necho >> %s\nexec %s \"$@\"\n", asked, venv.Python(t))
	for _, name := range []string{"python", "python3", "python3.11"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := resolver(t, index.Serve(t, index.Wheel(t, "top", "1.0", "py3-none-any", nil)))
	r.Environ = append(r.Environ, "PATH="+folder)
	in := Input{Requirements: "top\n", Python: "3.11", Arch: "amd64", Interpreter: venv.Python(t)}
	locked, err := r.Resolve(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"top 1.0 top-1.0-py3-none-any.whl"}, packages(locked)); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("an interpreter of the PATH was started")
	}
}

func TestWhatCannotBeResolvedIsSaid(t *testing.T) {
	yanked := index.Wheel(t, "yanked", "1.0", "py3-none-any", nil)
	yanked.Yanked = "broken"
	address := index.Serve(t,
		index.Wheel(t, "other", "1.0", "cp312-cp312-manylinux_2_17_x86_64", nil),
		index.Wheel(t, "a", "1.0", "py3-none-any", nil, "b<2"), index.Wheel(t, "b", "1.0", "py3-none-any", nil),
		index.Wheel(t, "b", "2.0", "py3-none-any", nil), yanked,
		index.File{Name: "source-1.0.tar.gz", Data: []byte("x"), Uploaded: "2026-01-01T00:00:00Z"},
	)
	for _, c := range []struct {
		name, requirements, constraints string
		code                            usererror.Code
		want                            string
	}{
		{"nothing of that name", "nowhere", "", usererror.CodeResolve, "nowhere was not found"},
		{"no such version", "b", "b==3.0", usererror.CodeResolve, "there is no version of b==3.0"},
		{
			"versions that exclude each other", "a\nb", "b==2.0", usererror.CodeResolve,
			"all versions of a depend on b<2 and you require a",
		},
		{"a package for another Python", "other", "", usererror.CodeResolve, "a package has no wheel for the image"},
		{"a source distribution alone", "source", "", usererror.CodeResolve, "a package has no wheel for the image"},
		{"a yanked version", "yanked", "", usererror.CodeResolve, "yanked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolver(t, address).Resolve(t.Context(), Input{
				Requirements: c.requirements, Constraints: c.constraints, Python: "3.11", Arch: "amd64",
			})
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != c.code || !strings.Contains(is.Text, c.want) || is.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(fmt.Sprint("an index that answers ", status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			_, err := resolver(t, "http://me:hunter2@"+host+"/simple").Resolve(t.Context(), Input{
				Requirements: "a", Python: "3.11", Arch: "amd64",
			})
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != usererror.CodeIndex || !strings.Contains(is.Text, host+"/simple does not let you: "+
				fmt.Sprint(status)) || strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("an index that is not there", func(t *testing.T) {
		_, err := resolver(t, "http://127.0.0.1:1/simple").Resolve(t.Context(), Input{
			Requirements: "a", Python: "3.11", Arch: "amd64",
		})
		is, ok := errors.AsType[*usererror.Error](err)
		if !ok || is.Code != usererror.CodeIndex || !strings.Contains(is.Text, "http://127.0.0.1:1/simple/a/") {
			t.Errorf("got %v", err)
		}
	})
}

// Of what the session has, the version is taken whenever an index got it; of the rest nothing newer than the session's
// lock, where the index tells times, and else the newest, which is said.
func TestNothingNewerThanTheLockIsTaken(t *testing.T) {
	at := func(name, version, time string, requires ...string) index.File {
		f := index.Wheel(t, name, version, "py3-none-any", nil, requires...)
		f.Uploaded = time
		return f
	}
	const before, after = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"
	address := index.Serve(t,
		at("top", "1.0", "", "late", "bare", "dated"), at("late", "1.0", after), at("late", "2.0", after),
		at("bare", "1.0", ""), at("bare", "2.0", ""), at("dated", "1.0", before), at("dated", "2.0", after))
	locked, err := resolver(t, address).Resolve(t.Context(), Input{
		Requirements: "top==1.0\n", Constraints: "late==1.0\n", Python: "3.11", Arch: "amd64",
		Newest: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range locked.Wheels {
		got = append(got, w.Name+" "+w.Version)
	}
	if d := cmp.Diff([]string{"bare 2.0", "dated 1.0", "late 1.0", "top 1.0"}, got); d != "" {
		t.Error(d)
	}
	want := []string{"the package index does not say since when it has bare: the newest were taken"}
	if d := cmp.Diff(want, locked.Notes); d != "" {
		t.Error(d)
	}
}

func TestAYankedVersionThatIsAskedForIsSaid(t *testing.T) {
	yanked := index.Wheel(t, "x", "1.0", "py3-none-any", nil)
	yanked.Yanked = "broken"
	locked, err := resolver(t, index.Serve(t, yanked)).Resolve(t.Context(), Input{
		Requirements: "x==1.0", Python: "3.11", Arch: "amd64",
	})
	if err != nil || len(locked.Wheels) != 1 || len(locked.Notes) != 1 ||
		locked.Notes[0] != "x 1.0 is yanked, and taken because this version is asked for: broken" {
		t.Errorf("got %+v, %v", locked, err)
	}
}

func TestOnlyAllowedFilesAreTaken(t *testing.T) {
	address := index.Serve(t, index.Wheel(t, "x", "1.0", "py3-none-any", nil))
	in := Input{Requirements: "x==1.0", Python: "3.11", Arch: "amd64"}
	locked, err := resolver(t, address).Resolve(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.Hashes = map[string][]string{"x": {"sha256:" + locked.Wheels[0].SHA256}}
	if _, err := resolver(t, address).Resolve(t.Context(), in); err != nil {
		t.Error(err)
	}
	in.Hashes["x"] = []string{"sha256:" + strings.Repeat("0", 64)}
	_, err = resolver(t, address).Resolve(t.Context(), in)
	if err == nil || !strings.Contains(err.Error(), "has no hash of x-1.0-py3-none-any.whl") {
		t.Errorf("got %v", err)
	}
}

// What uv locked for all platforms is taken as it is, for the one of the image; no index is asked.
func TestALockOfAllPlatformsIsKeptTo(t *testing.T) {
	address := index.Serve(t,
		index.Wheel(t, "top", "1.0", "py3-none-any", nil, "fast", `linuxonly; sys_platform == "linux"`,
			`maconly; sys_platform == "darwin"`, `arm; platform_machine == "aarch64"`),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-manylinux_2_17_x86_64", nil),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-manylinux_2_17_aarch64", nil),
		index.Wheel(t, "fast", "1.0", "cp311-cp311-macosx_11_0_arm64", nil),
		index.Wheel(t, "linuxonly", "3.1", "py3-none-any", nil), index.Wheel(t, "maconly", "1.0", "py3-none-any", nil),
		index.Wheel(t, "arm", "1.0", "py3-none-any", nil), index.Wheel(t, "tests", "1.0", "py3-none-any", nil),
	)
	const project = "[project]\nname = \"p\"\nversion = \"0\"\nrequires-python = \">=3.11\"\n" +
		"dependencies = [\"top\"]\n[dependency-groups]\ndev = [\"tests\"]\n"
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "pyproject.toml"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	r := resolver(t, address)
	for _, args := range [][]string{{"lock"}, {"export", "--format", "pylock.toml", "--no-dev", "-o", "pylock.toml"}} {
		command := exec.CommandContext(t.Context(), r.UV, append(args, "--python", venv.Python(t), "--quiet")...)
		command.Dir, command.Env = folder, r.Environ
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, in := range map[string]Input{
		"uv.lock":     {UVLock: read("uv.lock"), Project: project},
		"pylock.toml": {Pylock: read("pylock.toml")},
	} {
		for arch, want := range map[string][]string{
			"amd64": {
				"fast 1.0 fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
				"linuxonly 3.1 linuxonly-3.1-py3-none-any.whl",
				"top 1.0 top-1.0-py3-none-any.whl",
			},
			"arm64": {
				"arm 1.0 arm-1.0-py3-none-any.whl", "fast 1.0 fast-1.0-cp311-cp311-manylinux_2_17_aarch64.whl",
				"linuxonly 3.1 linuxonly-3.1-py3-none-any.whl", "top 1.0 top-1.0-py3-none-any.whl",
			},
		} {
			t.Run(name+" "+arch, func(t *testing.T) {
				in := in
				in.Python, in.Arch, in.Interpreter = "3.11", arch, venv.Python(t)
				locked, err := resolver(t, "http://127.0.0.1:1/simple").Resolve(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, packages(locked)); d != "" {
					t.Error(d)
				}
			})
		}
	}
}
