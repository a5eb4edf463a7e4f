package setup

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/test/packed"
)

func TestNothingIsUnpackedOutsideTheProgram(t *testing.T) {
	for name, header := range map[string]*tar.Header{
		"a path upward":         {Name: "../escaped", Typeflag: tar.TypeReg, Size: 1},
		"an absolute path":      {Name: "/escaped", Typeflag: tar.TypeReg, Size: 1},
		"a symbolic link":       {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"a hard link":           {Name: "link", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"a device":              {Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		"a file as two entries": {Name: "twice", Typeflag: tar.TypeReg, Size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			headers := []*tar.Header{header}
			if header.Name == "twice" {
				headers = append(headers, header)
			}
			files := map[string]string{"../escaped": "x", "/escaped": "x", "twice": "x"}
			archive := bytes.NewReader(packed.Entries(t, headers, files))
			if err := unpack(archive, filepath.Join(dir, "in", "program")); err == nil {
				t.Error("it was unpacked")
			}
			if _, err := os.Lstat(filepath.Join(dir, "in", "escaped")); err == nil {
				t.Error("a file lies outside the program")
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(packed.Files(f, map[string]string{"code/main.py": "x = 1"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		_ = unpack(bytes.NewReader(data), filepath.Join(dir, "program"))
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%s is no file", name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
