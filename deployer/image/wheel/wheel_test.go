package wheel

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/image/layer"
)

var at = Scheme{Prefix: "opt/venv", Python: "3.11"}

// entry is a file of a wheel that a test makes.
type entry struct {
	name, text string
	mode       os.FileMode
}

func pack(tb testing.TB, entries ...entry) string {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		header.SetMode(0o644)
		if e.mode != 0 {
			header.SetMode(e.mode)
		}
		f, err := w.CreateHeader(header)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(f, e.text); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "x-1.0-py3-none-any.whl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

var about = entry{name: "x-1.0.dist-info/WHEEL", text: "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"}

// installed is a wheel in an environment: a line for each file, with what is in it.
func installed(t *testing.T, compiled map[string]layer.Content, entries ...entry) ([]string, error) {
	t.Helper()
	w, err := Open(pack(t, entries...))
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }()
	files, err := w.Files(at, compiled)
	var lines []string
	for _, f := range files {
		r, err := f.Content.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || int64(len(data)) != f.Content.Size() {
			t.Fatalf("%s has %d bytes, and says %d: %v", f.Path, len(data), f.Content.Size(), err)
		}
		lines = append(lines, fmt.Sprintf("%s %o %s", f.Path, f.Mode, data))
	}
	slices.Sort(lines)
	return lines, err
}

func TestAWheelIsInstalled(t *testing.T) {
	got, err := installed(t, map[string]layer.Content{"x/a.py": layer.Bytes("compiled")},
		about,
		entry{name: "x/a.py", text: "pass\n"},
		entry{name: "x/run.sh", text: "#!/bin/sh\n", mode: 0o755},
		entry{name: "x-1.0.data/purelib/y.py", text: "y\n"},
		entry{name: "x-1.0.data/scripts/tool", text: "#!python -u\nprint()\n"},
		entry{name: "x-1.0.data/scripts/binary", text: "\x7fELF"},
		entry{name: "x-1.0.data/data/share/x.txt", text: "data\n"},
		entry{name: "x-1.0.data/headers/x.h", text: "header\n"},
		entry{
			name: "x-1.0.dist-info/entry_points.txt",
			text: "[console_scripts]\nmain = x.a:App.run [extra]\n# none\n\n[other]\nno = x\n[gui_scripts]\nwin=x:w\n",
		},
		entry{name: "x-1.0.dist-info/RECORD", text: "x/a.py,sha256=AAA,5\nx-1.0.data/scripts/tool,sha256=B,9\n" +
			"x-1.0.data/scripts/binary,sha256=C,4\nx-1.0.data/purelib/y.py,sha256=D,2\nx-1.0.dist-info/RECORD,,\n"},
	)
	if err != nil {
		t.Fatal(err)
	}
	const packages = "opt/venv/lib/python3.11/site-packages/"
	const script = "#!/opt/venv/bin/python\nimport sys\n\nfrom %s import %s\n\n" +
		"if __name__ == \"__main__\":\n    sys.exit(%s())\n"
	want := []string{
		"opt/venv/bin/binary 755 \x7fELF",
		"opt/venv/bin/main 755 " + fmt.Sprintf(script, "x.a", "App", "App.run"),
		"opt/venv/bin/tool 755 #!/opt/venv/bin/python -u\nprint()\n",
		"opt/venv/bin/win 755 " + fmt.Sprintf(script, "x", "w", "w"),
		"opt/venv/include/site/python3.11/x/x.h 644 header\n",
		packages + "x-1.0.dist-info/INSTALLER 644 metaml\n",
		packages + "x-1.0.dist-info/RECORD 644 " + strings.Join([]string{
			"../../../bin/binary,sha256=C,4",
			"../../../bin/main,sha256=TIxtwOgulrRpVlbYhQfP63r9TBugPfFFQD7xTEtpv8c,107",
			"../../../bin/tool,sha256=JqFvcUHNEmIExgmUhPQv64lA3DuAcqLSsn6hJM8OK34,34",
			"../../../bin/win,sha256=uN-DvPWncnip7KcVLRdzmUECZitMO0xcXjAB31i0Tlw,97",
			"x-1.0.dist-info/INSTALLER,sha256=Bnc4C-Sx1cfgGwxE3o0hAO2eVgQ1IXLn4wGomnEOPNk,7",
			"x-1.0.dist-info/RECORD,,",
			"x/__pycache__/a.cpython-311.pyc,,",
			"x/a.py,sha256=AAA,5",
			"y.py,sha256=D,2",
		}, "\n") + "\n",
		packages + "x-1.0.dist-info/WHEEL 644 " + about.text,
		packages + "x-1.0.dist-info/entry_points.txt 644 [console_scripts]\nmain = x.a:App.run [extra]\n# none\n\n" +
			"[other]\nno = x\n[gui_scripts]\nwin=x:w\n",
		packages + "x/__pycache__/a.cpython-311.pyc 644 compiled",
		packages + "x/a.py 644 pass\n",
		packages + "x/run.sh 755 #!/bin/sh\n",
		packages + "y.py 644 y\n",
		"opt/venv/share/x.txt 644 data\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\n\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsNoWheelIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		entries    []entry
	}{
		{"no metadata", "no folder NAME-VERSION.dist-info", []entry{{name: "x.py"}}},
		{"two wheels", "two wheels", []entry{about, {name: "y-1.dist-info/WHEEL"}}},
		{"a format of the future", `version "2.0"`, []entry{{name: about.name, text: "Wheel-Version: 2.0\n"}}},
		{"a path that leads out", "is no path", []entry{about, {name: "../x.py"}}},
		{"an absolute path", "is no path", []entry{about, {name: "/x.py"}}},
		{"data that lead out", "is no path", []entry{about, {name: "x-1.0.data/data/../../x"}}},
		{"a file in place of a folder", "where a folder is to be", []entry{about, {name: "x-1.0.data/scripts"}}},
		{
			"an entry point that is code", "is not understood",
			[]entry{about, {name: "x-1.0.dist-info/entry_points.txt", text: "[console_scripts]\na = os:system('x')\n"}},
		},
		{
			"an entry point in another folder", "is not understood",
			[]entry{about, {name: "x-1.0.dist-info/entry_points.txt", text: "[console_scripts]\n../a = x:y\n"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := installed(t, nil, c.entries...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Whatever a wheel is, its files are inside the environment, or it is refused.
func FuzzWheel(f *testing.F) {
	for _, entries := range [][]entry{
		{about, {name: "x/a.py", text: "pass"}},
		{about, {name: "x-1.0.data/scripts/a", text: "#!python"}, {name: "x-1.0.dist-info/RECORD", text: "a,b\n\"c"}},
		{about, {name: "x-1.0.dist-info/entry_points.txt", text: "[console_scripts]\na=b:c\n"}},
	} {
		data, err := os.ReadFile(pack(f, entries...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.whl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := Open(path)
		if err != nil {
			return
		}
		defer func() { _ = w.Close() }()
		files, err := w.Files(at, nil)
		if err != nil {
			return
		}
		for _, file := range files {
			if filepath.Clean(file.Path) != file.Path || !strings.HasPrefix(file.Path, at.Prefix+"/") {
				t.Errorf("a file would be %q", file.Path)
			}
		}
		_, _ = layer.Write(t.Context(), io.Discard, files)
	})
}
