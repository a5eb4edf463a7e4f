package resolve

import (
	"errors"
	"fmt"
	"os"
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
		"PIP_INDEX_URL="+address, "UV_HTTP_RETRIES=0", "PIP_FIND_LINKS=", "UV_FIND_LINKS=", "NO_PROXY=127.0.0.1")}
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
