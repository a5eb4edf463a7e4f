package resolve

import (
	"fmt"
	"strings"
	"testing"
)

// lockFile is a lock file of a package x with wheels of these tags.
func lockFile(tags ...string) string {
	var b strings.Builder
	b.WriteString("lock-version = \"1.0\"\n[[packages]]\nname = \"x\"\nversion = \"1\"\nwheels = [\n")
	for _, tag := range tags {
		fmt.Fprintf(&b, "{url = \"https://index.example/x-1-%s.whl\", size = 3, hashes = {sha256 = \"%s\"}},\n", tag,
			strings.Repeat("ab", 32))
	}
	return b.String() + "]\n"
}

var target = Input{Python: "3.11", Arch: "amd64"}

func TestTheNearestWheelIsTaken(t *testing.T) {
	for _, c := range []struct {
		name string
		tags []string // the nearest first
	}{
		{"code before none", []string{"py3-none-manylinux_2_17_x86_64", "py3-none-any"}},
		{"this Python before others", []string{
			"cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64",
			"cp37-abi3-manylinux1_x86_64.manylinux_2_28_x86_64.manylinux_2_5_x86_64", "py3-none-any",
		}},
		{"its own ABI before the stable one", []string{
			"cp311-cp311-manylinux_2_17_x86_64", "cp311-abi3-manylinux_2_28_x86_64", "cp39-abi3-manylinux_2_28_x86_64",
		}},
		{"a younger system before an older one", []string{
			"cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux1_x86_64",
		}},
		{"CPython before any", []string{"cp311-none-any", "py311-none-any", "py2.py3-none-any"}},
		{"a later build before an earlier one", []string{"10-py3-none-any", "2-py3-none-any", "py3-none-any"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.tags { // in whichever order they are
				turned := append(c.tags[i:len(c.tags):len(c.tags)], c.tags[:i]...)
				locked, err := parse([]byte(lockFile(turned...)), target, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := locked.Wheels[0].File; got != "x-1-"+c.tags[0]+".whl" {
					t.Errorf("of %q it is %s", turned, got)
				}
			}
		})
	}
}

func TestWhatIsNoLockFileIsRefused(t *testing.T) {
	good := lockFile("py3-none-any")
	for _, c := range []struct{ name, text, want string }{
		{"no TOML", "[", "read a lock file"},
		{"a later version", strings.Replace(good, "1.0", "2.0", 1), `version "2.0"`},
		{"a source distribution", strings.Replace(good, "-py3-none-any.whl", ".tar.gz", 1), "is no wheel"},
		{"a path", strings.Replace(good, "https://index.example/", "", 1), "is no address"},
		{"no digest", strings.Replace(good, "sha256", "md5", 1), "no digest by sha256"},
		{
			"a name with a folder", strings.Replace(good, "{url", `{name = "../x-1-py3-none-any.whl", url`, 1),
			"is no wheel",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse([]byte(c.text), target, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatHasNoWheelIsListedApart(t *testing.T) {
	locked, err := parse([]byte(lockFile()), target, nil)
	if err != nil || len(locked.Wheels) > 0 || len(locked.Sources) != 1 || locked.Sources[0].Name != "x" {
		t.Errorf("got %+v, %v", locked, err)
	}
}

// Whatever an index says, the names of what is kept are names of files.
func FuzzLockFile(f *testing.F) {
	f.Add(lockFile("py3-none-any", "1-cp311-abi3-manylinux_2_28_x86_64"))
	f.Fuzz(func(t *testing.T, text string) {
		locked, err := parse([]byte(text), target, nil)
		if err != nil {
			return
		}
		for _, w := range locked.Wheels {
			if strings.ContainsAny(w.File, "/\\\x00") || !strings.HasSuffix(w.File, ".whl") || len(w.SHA256) != 64 {
				t.Errorf("%+v", w)
			}
		}
	})
}

func TestAWheelOfAnotherPlatformIsNotTaken(t *testing.T) {
	for tag, want := range map[string]bool{
		"py3-none-any": true, "py2.py3-none-any": true, "cp311-cp311-manylinux_2_28_x86_64": true,
		"cp39-abi3-manylinux2014_x86_64": true, "cp311-cp311-linux_x86_64": true, "py311-none-any": true,
		"cp311-none-manylinux1_x86_64": true,
		"py2-none-any":                 false, "py312-none-any": false, "cp312-abi3-manylinux2014_x86_64": false,
		"cp312-cp312-manylinux_2_28_x86_64": false, "cp39-cp39-manylinux_2_28_x86_64": false,
		"cp311-cp311-manylinux_2_34_x86_64": false, "cp311-cp311-manylinux_2_28_aarch64": false,
		"cp311-cp311-musllinux_1_2_x86_64": false, "cp311-cp311-macosx_11_0_x86_64": false,
		"cp311-cp311t-manylinux_2_28_x86_64": false, "cp311-cp311-win_amd64": false,
	} {
		t.Run(tag, func(t *testing.T) {
			if got := fits("x-1-"+tag+".whl", "3.11", "amd64"); got != want {
				t.Errorf("it fits: %t", got)
			}
		})
	}
}

func TestNoLoginIsKept(t *testing.T) {
	text := strings.Replace(lockFile("py3-none-any"), "https://", "https://me:hunter2@", 1)
	locked, err := parse([]byte(text), target, nil)
	if err != nil || locked.Wheels[0].URL != "https://index.example/x-1-py3-none-any.whl" {
		t.Errorf("got %+v, %v", locked, err)
	}
}
