package parts

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPackagesThatAreMissingAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := Packages("# a comment\n" + file + " here\n" + file + "-not away\nno-such-program away\nsh shell\n\n")
	if len(all) != 4 {
		t.Fatalf("read %v", all)
	}
	if got := Missing(all); !slices.Equal(got, []string{"away"}) {
		t.Errorf("missing is %q, want away alone, once", got)
	}
}

func TestPartIsMadeOnceForAKey(t *testing.T) {
	maker := maker{cache: t.TempDir(), log: io.Discard}
	times := 0
	fill := func(folder string) error {
		times++
		return os.WriteFile(filepath.Join(folder, "part"), nil, 0o600)
	}
	for _, key := range []string{"a", "a", "b", "a"} {
		folder, err := maker.once("part", key, fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(folder, "part")); err != nil {
			t.Error(err)
		}
	}
	if times != 2 {
		t.Errorf("made %d times, want once for each of two keys", times)
	}
}

func TestPartThatCouldNotBeMadeLeavesNothing(t *testing.T) {
	maker := maker{cache: t.TempDir(), log: io.Discard}
	want := errors.New("no")
	if _, err := maker.once("part", "a", func(string) error { return want }); !errors.Is(err, want) {
		t.Errorf("the error is %v, want %v", err, want)
	}
	if items, err := os.ReadDir(maker.cache); len(items) > 0 {
		t.Errorf("%v is left (%v)", items, err)
	}
}

func TestPartsOfOtherVersionsAreRemovedInTheEnd(t *testing.T) {
	maker := maker{cache: t.TempDir()}
	long := time.Now().Add(-unused - time.Hour)
	for name, used := range map[string]time.Time{"etcd-old": long, "etcd-new": time.Now(), "run-1": long, "log": long} {
		folder := filepath.Join(maker.cache, name)
		if err := errors.Join(os.Mkdir(folder, 0o700), os.Chtimes(folder, used, used)); err != nil {
			t.Fatal(err)
		}
	}
	maker.prune()
	items, err := os.ReadDir(maker.cache)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, item := range items {
		left = append(left, item.Name())
	}
	if want := []string{"etcd-new", "log", "run-1"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

func TestKeyChangesWithNamesContentAndWords(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	note := func(what string, words ...string) {
		key, err := contentKey([]string{folder}, words...)
		if err != nil {
			t.Fatal(err)
		}
		if other, is := seen[key]; is {
			t.Errorf("%q has the key of %q", what, other)
		}
		seen[key] = what
	}
	note("empty")
	write("a", "bc")
	note("a file")
	write("a", "b")
	note("other content")
	write("b", "")
	note("another file")
	note("a word", "word")
}

func TestArchiveKeepsModesLinksAndWholeSeconds(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	when := time.Unix(1_700_000_000, 900_000_000)
	err := errors.Join(
		os.MkdirAll(at("usr/lib"), 0o755),
		os.WriteFile(at("usr/lib/first"), []byte("content"), 0o640),
		os.Chtimes(at("usr/lib/first"), when, when),
		os.Link(at("usr/lib/first"), at("usr/lib/second")),
		os.Symlink("first", at("usr/lib/third")),
		os.WriteFile(at("other"), nil, 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := writeTar(&archive, root, "usr/lib"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for reader := tar.NewReader(&archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSuffix(header.Name+"="+header.Linkname, "="))
		if header.Name == "usr/lib/first" && (header.Mode != 0o640 || header.ModTime.Unix() != when.Unix()) {
			t.Errorf("the file has mode %o and time %v", header.Mode, header.ModTime)
		}
	}
	want := []string{"usr", "usr/lib", "usr/lib/first", "usr/lib/second=usr/lib/first", "usr/lib/third=first"}
	if !slices.Equal(got, want) {
		t.Errorf("the archive has %q, want %q", got, want)
	}
}
