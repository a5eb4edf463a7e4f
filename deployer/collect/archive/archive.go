// Package archive makes one stream of the files of a trial, and files of it again: on their way between a pod, the
// monitor of its run and who reads the results.
//
// Read [Write] and [Read] first. The format is tar (POSIX.1-2001, "pax"). It imports the standard library alone.
package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Write writes what is in a folder: files, folders and symbolic links; sockets, pipes and devices are left out. A file
// that is written to meanwhile is as long as it was when it was opened, and one that vanishes is left out.
func Write(ctx context.Context, to io.Writer, dir string) error {
	archive := tar.NewWriter(to)
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, fs.ErrNotExist) && file != dir {
			return nil
		}
		if err != nil || file == dir {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		err = add(ctx, archive, file, filepath.ToSlash(name), entry.Type())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		return fmt.Errorf("pack %q: %w", dir, err)
	}
	return nil
}

func add(ctx context.Context, to *tar.Writer, file, name string, kind fs.FileMode) error {
	switch kind {
	case 0:
		return addFile(ctx, to, file, name)
	case fs.ModeDir:
		info, err := os.Lstat(file)
		if err != nil {
			return err
		}
		return to.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(),
		})
	case fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		return to.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
	}
	return nil
}

func addFile(ctx context.Context, to *tar.Writer, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := to.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime(),
		Format: tar.FormatPAX, // times to the nanosecond, sizes without limit
	}); err != nil {
		return err
	}
	n, err := io.Copy(to, whileIn(ctx, io.LimitReader(file, info.Size())))
	if err == nil && n < info.Size() { // it was cut meanwhile
		_, err = io.CopyN(to, zeros{}, info.Size()-n)
	}
	return err
}

// zeros reads as zero bytes for ever.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// whileIn reads until ctx is done.
func whileIn(ctx context.Context, from io.Reader) io.Reader {
	return reader(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return from.Read(p)
	})
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// maxEntries bounds what a stream can make.
const maxEntries = 1_000_000

// Read makes the files of a stream in a folder, which is there and empty. Nothing is made outside of it: names lead
// into it, and a link that leads out of it, or is absolute, is refused.
func Read(ctx context.Context, from io.Reader, dir string) (failed error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack into %q: %w", dir, err)
	}
	defer func() {
		if err := errors.Join(failed, root.Close()); err != nil {
			failed = fmt.Errorf("unpack into %q: %w", dir, err)
		}
	}()
	archive := tar.NewReader(whileIn(ctx, from))
	for range maxEntries {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extract(root, entry, archive); err != nil {
			return err
		}
	}
	return fmt.Errorf("it has more than %d entries", maxEntries)
}

func extract(root *os.Root, entry *tar.Header, from io.Reader) error {
	name := strings.TrimSuffix(entry.Name, "/")
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q has no place in it", entry.Name)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	mode := fs.FileMode(entry.Mode) & fs.ModePerm
	switch entry.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o700); err != nil {
			return err
		}
		return root.Chmod(name, mode|0o700)
	case tar.TypeSymlink:
		target := path.Join(path.Dir(name), entry.Linkname) //nolint:gosec // G305: it is checked in the next line
		if path.IsAbs(entry.Linkname) || target == ".." || strings.HasPrefix(target, "../") {
			return fmt.Errorf("the link %q leads to %q, out of the folder", name, entry.Linkname)
		}
		return root.Symlink(entry.Linkname, name)
	case tar.TypeReg:
		return extractFile(root, name, mode|0o600, entry, from)
	}
	return fmt.Errorf("%q is neither a file, a folder nor a link", name)
}

func extractFile(root *os.Root, name string, mode fs.FileMode, entry *tar.Header, from io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if entry.ModTime.IsZero() {
		return nil
	}
	return root.Chtimes(name, entry.ModTime, entry.ModTime)
}
