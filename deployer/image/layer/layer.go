// Package layer writes the layers of images: tar files, compressed by gzip, of which the same files always give the
// same bytes. Content that is compressed already, as it is in a wheel, is taken over as it is: a gzip file may consist
// of many members (RFC 1952, section 2.2), and one of them may be a stream that somebody else has deflated. So an
// environment of hundreds of megabytes is a layer in the time that it takes to read it.
//
// [Write] is the door, and [WriteZstd] another for who wants zstd. It may import nothing of ours.
package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
)

// File is one entry of a layer. The folders above it need no entries of their own: they are made, open to be read by
// everybody.
type File struct {
	Path string // "opt/environment/bin/python", without a slash before it
	Mode int64  // permissions, 0o644; those of a link do not matter
	Link string // what a symbolic link leads to; then it has no content
	// Folder says that the entry is a folder of its own mode, or owner.
	Folder  bool
	Owner   int // user id, and group id
	Group   int // group id, where that is another; 0 is the owner's
	Content Content
}

// Content is what is in a file.
type Content interface {
	// Size is its length in bytes.
	Size() int64
	// Open reads it.
	Open() (io.ReadCloser, error)
}

// Deflated is content that is there as a stream of RFC 1951 as well.
type Deflated interface {
	Content
	// OpenDeflated reads the stream, of DeflatedSize bytes.
	OpenDeflated() (io.Reader, error)
	DeflatedSize() int64
	// CRC32 is that of the content (IEEE).
	CRC32() uint32
}

// Bytes is content in memory.
type Bytes []byte

// Size is the length.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open reads the bytes.
func (b Bytes) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Written is what a layer became: the names by which images and registries know it, and its size.
type Written struct {
	Digest string `json:"digest"`  // sha256 of the compressed bytes, in hex
	DiffID string `json:"diff_id"` // sha256 of the tar file in it, in hex
	Size   int64  `json:"size"`    // of the compressed bytes
}

// Version changes when the same files give other bytes than before: it belongs into the key of whatever keeps layers.
const Version = 1

const (
	// level is how hard what is not compressed yet is compressed.
	level = 6
	// worthwhile is from how many deflated bytes on a stream is taken over as it is. A member costs 18 bytes, and cuts
	// off what small files have in common.
	worthwhile = 2 << 10
)

// Write writes a layer. The files may be in any order; two of one path are an error. It ends early with ctx.
func Write(ctx context.Context, to io.Writer, files []File) (Written, error) {
	sorted, err := arrange(files)
	if err != nil {
		return Written{}, err
	}
	w := newWriter(to)
	defer w.end()
	for i := range sorted {
		if err := context.Cause(ctx); err != nil {
			return Written{}, err
		}
		if err := w.file(&sorted[i]); err != nil {
			return Written{}, fmt.Errorf("write %s into a layer: %w", sorted[i].Path, err)
		}
	}
	return w.close()
}

// arrange sorts the files and adds the folders above them, each before what is in it.
func arrange(files []File) ([]File, error) {
	all := make([]File, 0, len(files)+len(files)/8)
	known := map[string]bool{}
	for i := range files {
		f := files[i]
		if f.Path != path.Clean(f.Path) || strings.HasPrefix(f.Path, "/") || f.Path == "." ||
			f.Path == ".." || strings.HasPrefix(f.Path, "../") {
			return nil, fmt.Errorf("write a layer: %q is no path in an image", f.Path)
		}
		if known[f.Path] {
			return nil, fmt.Errorf("write a layer: it would have %q twice", f.Path)
		}
		known[f.Path] = true
		all = append(all, f)
	}
	for i := range files {
		for folder := path.Dir(files[i].Path); folder != "." && !known[folder]; folder = path.Dir(folder) {
			known[folder] = true
			all = append(all, File{Path: folder, Mode: 0o755, Folder: true})
		}
	}
	// A folder sorts before what is in it, since its path is the beginning of theirs.
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for i := range all {
		if parent := path.Dir(all[i].Path); parent != "." && !isFolder(all, parent) {
			return nil, fmt.Errorf("write a layer: %q is in %q, which is no folder", all[i].Path, parent)
		}
	}
	return all, nil
}

func isFolder(sorted []File, at string) bool {
	i, found := slices.BinarySearchFunc(sorted, at, func(f File, p string) int { return cmp.Compare(f.Path, p) })
	return found && sorted[i].Folder
}

// writer makes a gzip file of members: what is not compressed yet collects in plain, until a stream is taken over.
type writer struct {
	out     *bufio.Writer
	packed  hash.Hash // of what goes out
	size    int64
	plain   bytes.Buffer // of the tar file, not compressed yet
	deflate *flate.Writer
	in      *bufio.Reader // of a stream that is taken over
	inflate io.ReadCloser
	hashing chan []byte // parts of the tar file, in order, for its digest, which is made beside the rest
	spare   chan []byte
	hashed  chan []byte // the digest
	ended   bool
}

// chunk is how much of a tar file is handed on at once for its digest, in bytes, and chunks how many there are.
const (
	chunk  = 256 << 10
	chunks = 8
)

func newWriter(to io.Writer) *writer {
	w := &writer{
		packed: sha256.New(), hashing: make(chan []byte, chunks), spare: make(chan []byte, chunks),
		hashed: make(chan []byte, 1),
	}
	w.out = bufio.NewWriterSize(io.MultiWriter(to, w.packed, counter{&w.size}), chunk)
	w.deflate, _ = flate.NewWriter(w.out, level) // fails for levels that there are not
	w.in = bufio.NewReaderSize(nil, 64<<10)
	w.inflate = flate.NewReader(w.in)
	for range chunks {
		w.spare <- make([]byte, 0, chunk)
	}
	go func() {
		sum := sha256.New()
		for part := range w.hashing {
			sum.Write(part)
			w.spare <- part[:0]
		}
		w.hashed <- sum.Sum(nil)
	}()
	return w
}

// end lets the goroutine of the digest end. It may be called twice.
func (w *writer) end() {
	if !w.ended {
		w.ended = true
		close(w.hashing)
	}
}

type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return len(p), nil
}

// note adds to the digest of the tar file.
func (w *writer) note(p []byte) {
	for len(p) > 0 {
		part := <-w.spare
		n := min(len(p), chunk)
		w.hashing <- append(part, p[:n]...)
		p = p[n:]
	}
}

// header is what a tar file has of a file beside its content.
func (f *File) header() *tar.Header {
	header := &tar.Header{
		Name: f.Path, Mode: f.Mode & 0o7777, Uid: f.Owner, Gid: cmp.Or(f.Group, f.Owner), Typeflag: tar.TypeReg,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	switch {
	case f.Folder:
		header.Name, header.Typeflag = f.Path+"/", tar.TypeDir
	case f.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Link, 0o777
	case f.Content != nil:
		header.Size = f.Content.Size()
	}
	return header
}

func (w *writer) file(f *File) error {
	header := f.header()
	// A writer of its own for each entry: the padding before the next one is ours to write.
	if err := tar.NewWriter(&w.plain).WriteHeader(header); err != nil {
		return err
	}
	if header.Size == 0 {
		return nil
	}
	var err error
	if d, ok := f.Content.(Deflated); ok && d.DeflatedSize() >= worthwhile {
		err = w.takeOver(d)
	} else {
		err = w.compress(f.Content)
	}
	if err != nil {
		return err
	}
	const block = 512 // of a tar file
	w.plain.Write(make([]byte, (block-header.Size%block)%block))
	return nil
}

// compress adds content that is to be compressed.
func (w *writer) compress(c Content) error {
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(&flushing{w}, r)
	if err == nil && n != c.Size() {
		err = fmt.Errorf("it has %d bytes and not %d", n, c.Size())
	}
	return err
}

// flushing collects what is to be compressed, in members of a bounded size.
type flushing struct{ w *writer }

func (f *flushing) Write(p []byte) (int, error) {
	n, err := f.w.plain.Write(p)
	if err == nil && f.w.plain.Len() > 4<<20 {
		err = f.w.flush()
	}
	return n, err
}

// The header of a member without a name, a time or anything optional; 255: the system is unknown (RFC 1952, 2.3.1).
var memberHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

func (w *writer) trailer(crc uint32, size int64) {
	var t [8]byte
	binary.LittleEndian.PutUint32(t[:4], crc)
	binary.LittleEndian.PutUint32(t[4:], uint32(size)) // modulo 2^32, as the format has it
	_, _ = w.out.Write(t[:])                           // its error stays, until Flush gives it
}

// flush writes what is not compressed yet as a member.
func (w *writer) flush() error {
	data := w.plain.Bytes()
	if len(data) == 0 {
		return nil
	}
	w.note(data)
	_, _ = w.out.Write(memberHeader)
	w.deflate.Reset(w.out)
	if _, err := w.deflate.Write(data); err != nil {
		return err
	}
	if err := w.deflate.Close(); err != nil {
		return err
	}
	w.trailer(crc32.ChecksumIEEE(data), int64(len(data)))
	w.plain.Reset()
	return nil
}

// takeOver writes a stream that is deflated already as a member. It is inflated beside that, for the digest of the tar
// file and to see that it is what it says it is.
func (w *writer) takeOver(d Deflated) error {
	if err := w.flush(); err != nil {
		return err
	}
	stream, err := d.OpenDeflated()
	if err != nil {
		return err
	}
	_, _ = w.out.Write(memberHeader)
	w.in.Reset(io.TeeReader(io.LimitReader(stream, d.DeflatedSize()), w.out))
	if err := w.inflate.(flate.Resetter).Reset(w.in, nil); err != nil {
		return err
	}
	crc, size := crc32.NewIEEE(), int64(0)
	for over := false; !over; {
		part := (<-w.spare)[:chunk]
		n := 0
		for n < chunk && !over {
			m, err := w.inflate.Read(part[n:])
			n += m
			over = errors.Is(err, io.EOF)
			if err != nil && !over {
				return fmt.Errorf("its stream is damaged: %w", err)
			}
		}
		size += int64(n)
		_, _ = crc.Write(part[:n]) // never fails
		w.hashing <- part[:n]
	}
	if size != d.Size() || crc.Sum32() != d.CRC32() {
		return fmt.Errorf("it has %d bytes with the checksum %08x, and not %d with %08x", size, crc.Sum32(), d.Size(),
			d.CRC32())
	}
	// It reads no further than the stream goes, since a bufio.Reader can be read byte by byte.
	if _, err := w.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something is behind the end of its stream")
	}
	w.trailer(crc.Sum32(), size)
	return nil
}

// close writes the end of the tar file.
func (w *writer) close() (Written, error) {
	w.plain.Write(make([]byte, 1024))
	if err := w.flush(); err != nil {
		return Written{}, err
	}
	if err := w.out.Flush(); err != nil {
		return Written{}, err
	}
	w.end()
	return Written{
		Digest: hex.EncodeToString(w.packed.Sum(nil)), DiffID: hex.EncodeToString(<-w.hashed), Size: w.size,
	}, nil
}
