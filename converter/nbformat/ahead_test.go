package nbformat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A large file is read as its bytes are, with the same messages.
func TestLargeFiles(t *testing.T) {
	output := `"` + strings.Repeat("0123456789\\n", 90) + "é\\u00e9\",\n"
	notebook := `{"cells": [{"cell_type": "code", "source": "1", "metadata": {}, "outputs": [` +
		strings.Repeat(output, 5000) + `0]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}`
	for _, c := range []struct{ name, text string }{
		{"whole", notebook},
		{"cut short", notebook[:len(notebook)*2/3]},
		{"broken near its beginning", strings.Replace(notebook, `789\n`, `789\q`, 1)},
		{"broken near its end", strings.TrimSuffix(notebook, "}") + "]"},
		{"with text behind it", notebook + strings.Repeat(" ", 3*chunk) + "{"},
		{"broken UTF-8", strings.Replace(notebook, "é\\u00e9\",\n0", "\xc3\",\n0", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.text) < largeFile {
				t.Fatal("it is small")
			}
			path := filepath.Join(t.TempDir(), "notebook.ipynb")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := Read(f)
			want, wrong := ReadBytes([]byte(c.text))
			said := func(err error) string {
				if err == nil {
					return ""
				}
				return err.Error()
			}
			if d := cmp.Diff(said(wrong), said(err)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if (c.name == "whole") != (err == nil) {
				t.Error(err)
			}
		})
	}
}
