package serve

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/metaml/metaml/deployer/collect"
)

// maxOpen is how many files are kept open. To open one costs several times what it costs to write a few lines to it.
const maxOpen = 64

// Disk is a folder as a [collect.Disk]. It is closed after its store was used last.
type Disk struct {
	root *os.Root

	mu    sync.Mutex               // guards what follows; it is not held while a file is read or written
	order *list.List               // of *openFile, the one used last in front
	open  map[string]*list.Element // by name
}

// openFile is a file that is open, for writes and reads.
type openFile struct {
	*os.File
	name  string
	users int
	out   bool // no longer among those that are kept open: the last user closes it
}

var _ collect.Disk = (*Disk)(nil)

// OpenDisk opens the folder path, which is made if it is missing.
func OpenDisk(path string) (*Disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the monitor: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the folder of the monitor: %w", err)
	}
	return &Disk{root: root, order: list.New(), open: map[string]*list.Element{}}, nil
}

// Close closes what is open.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var failed error
	for d.order.Len() > 0 {
		failed = errors.Join(failed, d.drop())
	}
	return errors.Join(failed, d.root.Close())
}

// drop closes the file that was not used for the longest time, or leaves that to who uses it now. The lock is held.
func (d *Disk) drop() error {
	last := d.order.Remove(d.order.Back()).(*openFile)
	delete(d.open, last.name)
	if last.out = true; last.users > 0 {
		return nil
	}
	return last.Close()
}

// use gives a file that is open, which is given back with [Disk.leave].
func (d *Disk) use(name string, made bool) (*openFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := d.open[name]; at != nil {
		d.order.MoveToFront(at)
		f := at.Value.(*openFile)
		f.users++
		return f, nil
	}
	file, err := d.openFile(name, made)
	if err != nil {
		return nil, err
	}
	if d.order.Len() >= maxOpen {
		if err := d.drop(); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	f := &openFile{File: file, name: name, users: 1}
	d.open[name] = d.order.PushFront(f)
	return f, nil
}

// openFile opens a file, and makes it with its folders if that is asked for.
func (d *Disk) openFile(name string, made bool) (*os.File, error) {
	if !made {
		return d.root.OpenFile(name, os.O_RDWR, 0)
	}
	const mode = os.O_RDWR | os.O_CREATE
	file, err := d.root.OpenFile(name, mode, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := d.root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, mode, 0o600)
}

func (d *Disk) leave(f *openFile) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.users--; f.out && f.users == 0 {
		return f.Close()
	}
	return nil
}

// Write implements [collect.Disk]. It is not synced: what a crash of the node takes with it comes again from the pods.
func (d *Disk) Write(name string, data []byte, offset int64) (int, error) {
	f, err := d.use(name, true)
	if err != nil {
		return 0, err
	}
	n, err := f.WriteAt(data, offset)
	return n, errors.Join(err, d.leave(f))
}

// Read implements [collect.Disk].
func (d *Disk) Read(name string, p []byte, offset int64) error {
	f, err := d.use(name, false)
	if err != nil {
		return err
	}
	_, err = f.ReadAt(p, offset)
	return errors.Join(err, d.leave(f))
}

// Replace implements [collect.Disk]. It is not synced either: a thousand pods that begin would wait for the disk.
func (d *Disk) Replace(name string, data []byte) error {
	if err := d.root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return d.root.WriteFile(name, data, 0o600)
}

// Load implements [collect.Disk].
func (d *Disk) Load(name string, limit int64) ([]byte, error) {
	file, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// Remove implements [collect.Disk].
func (d *Disk) Remove(name string) error { return d.root.Remove(name) }

// Walk implements [collect.Disk].
func (d *Disk) Walk(visit func(name string, size int64)) error {
	return fs.WalkDir(d.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			visit(name, info.Size())
		}
		return err
	})
}
