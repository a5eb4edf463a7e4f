package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/metaml/metaml/internal/atomicfile"
)

// index says what a snapshot holds. Modes and times stand here alone: what lies in the snapshot can always be read and
// removed by its owner.
type index struct {
	V       int     `json:"v"`
	Began   int64   `json:"began"` // by the clock of the file system, in ns since 1970
	Entries []entry `json:"entries"`
}

// entry is a file, folder or symbolic link. Folders stand before what is in them.
type entry struct {
	Path     []byte      `json:"path"` // from the folder that was kept, which is "."; it need not be UTF-8
	Kind     fs.FileMode `json:"kind"` // [fs.ModeDir], [fs.ModeSymlink] or 0
	Mode     fs.FileMode `json:"mode"` // permissions
	Target   []byte      `json:"target,omitempty"`
	Modified int64       `json:"modified"` // in ns since 1970

	// Of a file, as it was before it was copied.
	Size    int64  `json:"size,omitempty"`
	Changed int64  `json:"changed,omitempty"` // its inode, in ns since 1970
	Device  uint64 `json:"device,omitempty"`
	Inode   uint64 `json:"inode,omitempty"`
}

// settled is for how long a file must not have changed before a snapshot began, for its times to say whether it has
// changed since: they are coarse, and a change soon after another may leave them as they are.
const settled = 2 * time.Second

// unchanged reports whether a file is still what the snapshot old has of it.
func (e *entry) unchanged(old *entry, began int64) bool {
	return old != nil && e.Inode == old.Inode && e.Device == old.Device && e.Size == old.Size &&
		e.Modified == old.Modified && e.Changed == old.Changed && e.Mode == old.Mode &&
		began-max(old.Modified, old.Changed) >= int64(settled)
}

// snapshot is one that is being made.
type snapshot struct {
	from, to string
	index    index
	old      map[string]*entry // files of the snapshot before it
	oldBegan int64
	oldFiles string
}

// take makes a snapshot of dir in the new folder to. last is the snapshot before it, which need not be there.
func take(ctx context.Context, dir, to, last string) error {
	s := snapshot{
		from: dir, to: filepath.Join(to, filesName), index: index{V: 1}, old: map[string]*entry{},
		oldFiles: filepath.Join(last, filesName),
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("make a checkpoint: %w", err)
	}
	info, err := os.Stat(to)
	if err != nil {
		return fmt.Errorf("make a checkpoint: %w", err)
	}
	s.index.Began = info.ModTime().UnixNano()
	// On a file system in memory the times of a file say nothing of what is written into it through a mapping.
	if old, err := readIndex(last); err == nil && !inMemory(dir) {
		s.oldBegan = old.Began
		for i := range old.Entries {
			s.old[string(old.Entries[i].Path)] = &old.Entries[i]
		}
	}
	if err := s.folder(ctx, "."); err != nil {
		return err
	}
	data, err := json.Marshal(s.index)
	if err != nil {
		return fmt.Errorf("write down what the checkpoint has: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(to, indexName), data, 0o600); err != nil {
		return err
	}
	return syncFolder(to)
}

// folder adds the folder at path, from that of the snapshot, with all that is in it.
func (s *snapshot) folder(ctx context.Context, path string) error {
	info, err := os.Stat(filepath.Join(s.from, path)) // the first may be a link to where there is more room
	var inside []os.DirEntry
	if err == nil {
		inside, err = os.ReadDir(filepath.Join(s.from, path))
	}
	e := entry{Path: []byte(path), Kind: fs.ModeDir, Mode: 0o700}
	switch {
	case errors.Is(err, fs.ErrNotExist) && path != ".":
		return nil
	case errors.Is(err, fs.ErrNotExist):
		e.Modified = s.index.Began
	case err != nil:
		return fmt.Errorf("read a folder: %w", err)
	default:
		e.Mode, e.Modified = info.Mode().Perm(), info.ModTime().UnixNano()
	}
	if err := os.Mkdir(filepath.Join(s.to, path), 0o700); err != nil {
		return fmt.Errorf("keep a folder: %w", err)
	}
	s.index.Entries = append(s.index.Entries, e)
	for _, d := range inside {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		below := filepath.Join(path, d.Name())
		var err error
		switch d.Type() {
		case fs.ModeDir:
			err = s.folder(ctx, below)
		case fs.ModeSymlink:
			err = s.link(below)
		case 0:
			err = s.file(ctx, below)
		}
		if err != nil {
			return err
		}
	}
	return syncFolder(filepath.Join(s.to, path))
}

func (s *snapshot) link(path string) error {
	target, err := os.Readlink(filepath.Join(s.from, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a link: %w", err)
	}
	s.index.Entries = append(s.index.Entries, entry{
		Path: []byte(path), Kind: fs.ModeSymlink, Target: []byte(target),
	})
	return nil
}

func (s *snapshot) file(ctx context.Context, path string) error {
	// Neither what is a pipe by now nor what is a link is opened.
	from, err := os.OpenFile(filepath.Join(s.from, path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	defer from.Close()
	// What is written through a mapping changes the file's times only when its pages were brought to the disk before.
	if err := from.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("bring a file to the disk: %w", err)
	}
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	e := entry{
		Path: []byte(path), Mode: info.Mode().Perm(), Modified: info.ModTime().UnixNano(), Size: info.Size(),
	}
	e.stamp(info)
	to := filepath.Join(s.to, path)
	if e.unchanged(s.old[path], s.oldBegan) && os.Link(filepath.Join(s.oldFiles, path), to) == nil {
		s.index.Entries = append(s.index.Entries, e)
		return nil
	}
	if err := copyFile(ctx, from, to, info.Size(), true); err != nil {
		return err
	}
	s.index.Entries = append(s.index.Entries, e)
	return nil
}

func readIndex(of string) (*index, error) {
	path := filepath.Join(of, indexName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what the checkpoint has: %w", err)
	}
	var x index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("read what the checkpoint has, in %q: %w", path, err)
	}
	if x.V != 1 {
		return nil, fmt.Errorf("the checkpoint %q was written by a newer MetaML (version %d of its index)", of, x.V)
	}
	for i := range x.Entries {
		if path := string(x.Entries[i].Path); !filepath.IsLocal(path) {
			return nil, fmt.Errorf("the checkpoint %q is damaged: it has a file %q", of, path)
		}
	}
	return &x, nil
}

// put copies a snapshot into the folder dir.
func put(ctx context.Context, from, dir string) error {
	x, err := readIndex(from)
	if err != nil {
		return err
	}
	for i := range x.Entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := x.Entries[i].put(ctx, filepath.Join(from, filesName), dir); err != nil {
			return fmt.Errorf("take %q from the checkpoint: %w", x.Entries[i].Path, err)
		}
	}
	// A folder changes when something is put into it, and perhaps nothing may be.
	for _, e := range slices.Backward(x.Entries) {
		if e.Kind == fs.ModeDir {
			if err := e.dress(filepath.Join(dir, string(e.Path))); err != nil {
				return fmt.Errorf("take %q from the checkpoint: %w", e.Path, err)
			}
		}
	}
	return nil
}

func (e *entry) put(ctx context.Context, files, dir string) error {
	to := filepath.Join(dir, string(e.Path))
	switch e.Kind {
	case fs.ModeDir:
		if string(e.Path) == "." {
			return nil
		}
		return os.Mkdir(to, 0o700)
	case fs.ModeSymlink:
		return os.Symlink(string(e.Target), to)
	default:
		from, err := os.Open(filepath.Join(files, string(e.Path)))
		if err != nil {
			return err
		}
		defer from.Close()
		info, err := from.Stat()
		if err != nil {
			return err
		}
		if err := copyFile(ctx, from, to, info.Size(), false); err != nil {
			return err
		}
		return e.dress(to)
	}
}

// dress gives a file or folder its time and permissions.
func (e *entry) dress(path string) error {
	modified := time.Unix(0, e.Modified)
	return errors.Join(os.Chtimes(path, modified, modified), os.Chmod(path, e.Mode))
}
