package slicer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// Which modules come along as files, and which are imported as they are installed.
func TestWhichModulesAreLocal(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"mine.py", "plain/__init__.py", "plain/part.py", "space/part.py", "built/__init__.py", "built/part.py",
		"built/deep/_fast.cpython-311-x86_64-linux-gnu.so", "with_library/__init__.py", "with_library/libfoo.so",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ imported, modules, imports string }{
		{"mine", "mine", ""},
		{"plain.part", "plain plain.part", ""},
		{"space.part", "space.part", ""},
		{"built.part", "", "built"},
		{"with_library", "with_library", ""},
		{"odd", "", "odd"},                 // a part of it was made by code
		{"known_built", "", "known_built"}, // as the session says
		{"somewhere", "", "somewhere"},
	} {
		doc := live("import " + c.imported + "\n---\ndef f(): return " + topOf(c.imported))
		doc.Cwd, doc.Path = dir, []string{""}
		doc.Modules = []session.Module{
			{Name: "odd.ops", File: "_ops.py"},
			{Name: "known_built", File: filepath.Join(dir, "built", "__init__.py"), Package: true},
		}
		s := of(t, doc, Options{})
		var modules []string
		for _, m := range s.Modules {
			modules = append(modules, m.Name)
		}
		wantText(t, strings.Join(modules, " "), c.modules)
		wantText(t, strings.Join(s.Imports, " "), c.imports)
	}
}
