package kept

import (
	"io/fs"
	"syscall"
)

const (
	seekData = 3 // lseek(2)
	seekHole = 4
)

const (
	tmpfsMagic = 0x01021994 // statfs(2)
	ramfsMagic = 0x858458f6
)

// stamp notes which file it is, and when it changed.
func (e *entry) stamp(info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		e.Device, e.Inode, e.Changed = s.Dev, s.Ino, s.Ctim.Nano()
	}
}

// inMemory reports whether a folder is on a file system in memory.
func inMemory(dir string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && (s.Type == tmpfsMagic || s.Type == ramfsMagic)
}
