package kept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// chunk is what is copied at once, in bytes, before it is asked again whether it should go on.
const chunk = 16 << 20

// copyFile copies the first size bytes of a file into a new one, with its holes as holes, and shares their blocks where
// the file system can. What is not there any more is left out. With durable the copy is on the disk afterwards.
func copyFile(ctx context.Context, from *os.File, path string, size int64, durable bool) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy %q: %w", from.Name(), err)
	}
	err = copyData(ctx, to, from, size)
	if err == nil && durable {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("copy %q: %w", from.Name(), err)
	}
	return nil
}

func copyData(ctx context.Context, to, from *os.File, size int64) error {
	at := int64(0)
	for at < size {
		begin, end, err := nextData(from, at, size)
		if err != nil {
			return err
		}
		if begin >= size {
			break
		}
		for _, f := range []*os.File{from, to} {
			if _, err := f.Seek(begin, io.SeekStart); err != nil {
				return err
			}
		}
		for at = begin; at < end; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			// Of two files this is copy_file_range.
			n, err := io.CopyN(to, from, min(chunk, end-at))
			at += n
			if errors.Is(err, io.EOF) {
				return nil // it has become shorter
			}
			if err != nil {
				return err
			}
		}
	}
	// It may end with a hole, unless it has become shorter.
	info, err := from.Stat()
	if err != nil {
		return err
	}
	return to.Truncate(min(size, max(info.Size(), at)))
}

// nextData finds the next part of a file that is no hole; a file system that cannot tell has none. Where nothing
// follows, begin is size.
func nextData(f *os.File, at, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(at, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return size, size, nil
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOTSUP):
		return at, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(begin, seekHole)
	if err != nil {
		return begin, size, nil //nolint:nilerr // it became shorter; the rest is read as far as it is there
	}
	return begin, min(end, size), nil
}
