//go:build !linux

package kept

import (
	"io/fs"
	"syscall"
)

const (
	seekData = 4 // lseek(2) of macOS
	seekHole = 3
)

// stamp notes which file it is, and when it changed.
func (e *entry) stamp(info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		e.Device, e.Inode, e.Changed = uint64(s.Dev), s.Ino, s.Ctimespec.Nano()
	}
}

// inMemory reports whether a folder is on a file system in memory, which macOS has none of.
func inMemory(string) bool { return false }
