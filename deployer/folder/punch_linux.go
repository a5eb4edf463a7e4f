package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// punch frees the blocks of a part of a file; it reads as zeros afterwards.
func punch(f *os.File, from, length int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, length)
}
