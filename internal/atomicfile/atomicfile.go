// Package atomicfile writes a file whole or not at all. It imports the standard library alone, and every package that
// does I/O may import it.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data into the file path, in place of what it had. Whoever reads it, also after a crash of the machine,
// gets the old content or the new one, never a part:
//
//   - The data is written to a temporary file in the same folder, which must exist, and is on the disk (fsync) before
//     that file is renamed. The folder is not synced: after a crash of the machine the old content may be there.
//   - The new file has the mode perm without the umask's bits, as with [os.WriteFile], also where the old one had
//     another mode, owner or hard links.
//   - A symbolic link at path is replaced itself; the file that it leads to stays as it is.
//   - After an error the old file is as it was, and the temporary one is gone. A process that is killed may leave it,
//     under a name that begins with ".new-".
func Write(path string, data []byte, perm fs.FileMode) error {
	return replace(path, data, perm, true)
}

// WriteUnsynced is Write without waiting for the disk, which takes several times as long as the rest: after a crash of
// the machine the file may be empty. It is for what can be made again.
func WriteUnsynced(path string, data []byte, perm fs.FileMode) error {
	return replace(path, data, perm, false)
}

func replace(path string, data []byte, perm fs.FileMode, sync bool) error {
	temporary := filepath.Join(filepath.Dir(path), ".new-"+rand.Text())
	err := write(temporary, data, perm, sync)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		if removed := os.Remove(temporary); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func write(path string, data []byte, perm fs.FileMode, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
