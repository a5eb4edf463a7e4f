package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// WriteZstd writes a layer that is compressed by zstd (RFC 8878) in place of gzip: the tar file in it has the same
// digest. Nothing that is compressed already can be taken over.
func WriteZstd(ctx context.Context, to io.Writer, files []File) (Written, error) {
	sorted, err := arrange(files)
	if err != nil {
		return Written{}, err
	}
	packed, plain, size := sha256.New(), sha256.New(), int64(0)
	// One goroutine, so that the same content always gives the same bytes.
	z, err := zstd.NewWriter(io.MultiWriter(to, packed, counter{&size}), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(true))
	if err != nil {
		return Written{}, err
	}
	w := tar.NewWriter(io.MultiWriter(z, plain))
	for i := range sorted {
		if err := context.Cause(ctx); err != nil {
			return Written{}, err
		}
		if err := add(w, &sorted[i]); err != nil {
			return Written{}, fmt.Errorf("write %s into a layer: %w", sorted[i].Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return Written{}, err
	}
	if err := z.Close(); err != nil {
		return Written{}, err
	}
	return Written{
		Digest: hex.EncodeToString(packed.Sum(nil)), DiffID: hex.EncodeToString(plain.Sum(nil)), Size: size,
	}, nil
}

// add adds a file to a tar file.
func add(w *tar.Writer, f *File) error {
	header := f.header()
	if err := w.WriteHeader(header); err != nil || header.Size == 0 {
		return err
	}
	r, err := f.Content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, r)
	if err == nil && n != header.Size {
		err = fmt.Errorf("it has %d bytes and not %d", n, header.Size)
	}
	return err
}
