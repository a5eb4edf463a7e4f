package parts

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// writeTar writes what is at or below root/part, with the folders above it, as an archive with names from root.
// Devices and sockets are left out: a container has its own.
func writeTar(w io.Writer, root, part string) error {
	archive := tar.NewWriter(w)
	linked := map[uint64]string{}
	above := filepath.Dir(part)
	for at, rest := "", above; rest != "" && rest != "."; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		at = filepath.Join(at, name)
		if err := writeItem(archive, root, at, linked); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(filepath.Join(root, part), func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." || item.Type()&(fs.ModeDevice|fs.ModeSocket|fs.ModeNamedPipe) != 0 {
			return err
		}
		return writeItem(archive, root, name, linked)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// writeItem writes one file, folder or link. Linked has the names of files that have several, by inode.
func writeItem(archive *tar.Writer, root, name string, linked map[uint64]string) error {
	path := filepath.Join(root, name)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name = name
	header.Uname, header.Gname = "", ""
	// Compiled Python names the second of its source, cut off, and the archive would round it.
	header.ModTime = header.ModTime.Truncate(time.Second)
	stat, isStat := info.Sys().(*syscall.Stat_t)
	if isStat && info.Mode().IsRegular() && stat.Nlink > 1 {
		if first, seen := linked[stat.Ino]; seen {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
			return archive.WriteHeader(header)
		}
		linked[stat.Ino] = name
	}
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}
