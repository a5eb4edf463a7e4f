package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// Files are what a pod sends: files that are only appended to.
type Files interface {
	// List names the files, and how much of each may be sent. A file that is new may be missing for a while; with all,
	// which a sender wants once nothing grows any more, it may not.
	List(ctx context.Context, all bool) ([]collect.Entry, error)
	// ReadAt fills p from a file at offset.
	ReadAt(name string, p []byte, offset int64) error
}

// Folders are the files of a pod on its disk. It is not safe for concurrent use.
type Folders struct {
	// Files are the names under which files are sent, with their paths. They need not be there yet.
	Files map[string]string
	// Most is how much of a file is sent at most, in bytes, by its name; of others all.
	Most map[string]int64
	// Folders are searched for files that Want wants, all where it is nil.
	Folders []Folder
	Want    func(name string) bool

	found map[string]place // by name. A name stays with the file that had it first: it is appended to.
	next  time.Time        // before then the folders are not searched
	lines map[string]int64 // how much of a file of lines was whole
}

// Folder is a folder of which the files, at whatever depth, are sent as NAME/FILE. Two may have the same name.
type Folder struct {
	Name, Path string
	// Linked says that a link in it stands for the file that it leads to. In other folders links are left alone.
	Linked bool
}

// place is where a file is.
type place struct {
	path   string
	linked bool
}

// What a search may cost: checkpoints of a trial may be beside what is to be sent, on a disk of the network.
const (
	maxSearched = 5_000 // files and folders of each folder
	pauseRatio  = 50    // all searches take at most this part of the time
)

var _ Files = (*Folders)(nil)

// List implements [Files]. Of a file of lines (.jsonl), only what ends with a line may be sent: its writer takes back
// the part of a line that it could not write.
func (f *Folders) List(ctx context.Context, all bool) ([]collect.Entry, error) {
	if f.found == nil {
		f.found, f.lines = map[string]place{}, map[string]int64{}
		for name, path := range f.Files {
			f.found[name] = place{path: path}
		}
	}
	var failed error
	if begun := time.Now(); all || !begun.Before(f.next) {
		failed = f.search(ctx)
		f.next = time.Now().Add(pauseRatio * time.Since(begun))
	}
	var entries []collect.Entry
	for name, at := range f.found {
		stat := os.Lstat
		if at.linked {
			stat = os.Stat
		}
		info, err := stat(at.path)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			continue
		}
		size := info.Size()
		if strings.HasSuffix(name, ".jsonl") {
			if size, err = f.whole(name, at.path, size); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
		}
		if most, limited := f.Most[name]; limited {
			size = min(size, most)
		}
		entries = append(entries, collect.Entry{Name: name, Size: size})
	}
	// In one order, so that files take turns.
	slices.SortFunc(entries, func(a, b collect.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, failed
}

// search looks into the folders for files that are new.
func (f *Folders) search(ctx context.Context) error {
	for _, folder := range f.Folders {
		searched := 0
		err := filepath.WalkDir(folder.Path, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			searched++
			switch {
			case searched > maxSearched || len(f.found) > 2*collect.MaxFiles: // the sender says that there are too many
				return fs.SkipAll
			case err != nil:
				return nil //nolint:nilerr // what is not there yet, or cannot be read, is looked for again
			case d.IsDir() && path != folder.Path && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir // no name may have such a part
			case d.IsDir() || !d.Type().IsRegular() && !folder.Linked || f.Want != nil && !f.Want(d.Name()):
				return nil
			}
			relative, err := filepath.Rel(folder.Path, path)
			if err != nil {
				return err
			}
			name := folder.Name + "/" + filepath.ToSlash(relative)
			if _, ok := f.found[name]; !ok {
				f.found[name] = place{path, folder.Linked}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("search %q for files: %w", folder.Path, err)
		}
	}
	return nil
}

// whole gives the place after the last line that is whole.
func (f *Folders) whole(name, path string, size int64) (int64, error) {
	known := f.lines[name]
	if size <= known {
		return size, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", name, err)
	}
	defer file.Close()
	block := make([]byte, min(size-known, 4<<10))
	for end := size; end > known; {
		b := block[:min(end-known, int64(len(block)))]
		start := end - int64(len(b))
		if _, err := file.ReadAt(b, start); err != nil {
			return 0, fmt.Errorf("read %q: %w", name, err)
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			known = start + int64(i) + 1
			break
		}
		end = start
	}
	f.lines[name] = known
	return known, nil
}

// ReadAt implements [Files].
func (f *Folders) ReadAt(name string, p []byte, offset int64) error {
	at, ok := f.found[name]
	if !ok {
		return fmt.Errorf("read %q: %w", name, fs.ErrNotExist)
	}
	file, err := os.Open(at.path)
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	defer file.Close()
	if _, err := file.ReadAt(p, offset); err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}
