package layer

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// deflated is content as it lies in a zip file.
type deflated struct {
	Bytes
	stream []byte
	sum    uint32
}

func (d deflated) OpenDeflated() (io.Reader, error) { return bytes.NewReader(d.stream), nil }
func (d deflated) DeflatedSize() int64              { return int64(len(d.stream)) }
func (d deflated) CRC32() uint32                    { return d.sum }

func deflate(tb testing.TB, content []byte) deflated {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return deflated{content, b.Bytes(), crc32.ChecksumIEEE(content)}
}

// noise is content that does not get smaller.
func noise(size int) []byte {
	r, b := rand.New(rand.NewPCG(1, 2)), make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func write(tb testing.TB, files []File) ([]byte, Written) {
	tb.Helper()
	var b bytes.Buffer
	w, err := Write(tb.Context(), &b, files)
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes(), w
}

// read reads a layer as everybody else does, and gives what is in it, a line for each entry.
func read(tb testing.TB, data []byte) (entries []string, diffID string) {
	tb.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.New()
	whole := io.TeeReader(z, sum)
	r := tar.NewReader(whole)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		entries = append(entries, fmt.Sprintf("%c %s %o %d:%d %d %s %d %08x", h.Typeflag, h.Name, h.Mode, h.Uid, h.Gid,
			h.ModTime.Unix(), h.Linkname, len(content), crc32.ChecksumIEEE(content)))
	}
	if _, err := io.Copy(io.Discard, whole); err != nil {
		tb.Fatal(err)
	}
	return entries, hex.EncodeToString(sum.Sum(nil))
}

func TestALayerHasWhatWasWritten(t *testing.T) {
	big := bytes.Repeat([]byte("all work and no play "), 50_000)
	files := []File{
		{Path: "a/b/deep.py", Mode: 0o644, Content: Bytes("print(1)\n")},
		{Path: "a/big.txt", Mode: 0o755, Content: deflate(t, big)},
		{Path: "a/noise", Mode: 0o644, Content: deflate(t, noise(300<<10))},
		{Path: "a/small", Mode: 0o644, Content: deflate(t, []byte("small"))},
		{Path: "a/empty", Mode: 0o600, Content: Bytes(nil)},
		{Path: "a/link", Link: "../a/big.txt"},
		{Path: "home", Mode: 0o700, Folder: true, Owner: 65532},
		{Path: "home/" + strings.Repeat("long", 60) + "é", Mode: 0o644, Owner: 65532, Content: Bytes("x")},
	}
	data, w := write(t, files)
	entries, diffID := read(t, data)
	is := func(content []byte) string { return fmt.Sprintf(" %d %08x", len(content), crc32.ChecksumIEEE(content)) }
	want := []string{
		"5 a/ 755 0:0 0 " + is(nil),
		"5 a/b/ 755 0:0 0 " + is(nil),
		"0 a/b/deep.py 644 0:0 0 " + is([]byte("print(1)\n")),
		"0 a/big.txt 755 0:0 0 " + is(big),
		"0 a/empty 600 0:0 0 " + is(nil),
		"2 a/link 777 0:0 0 ../a/big.txt" + is(nil),
		"0 a/noise 644 0:0 0 " + is(noise(300<<10)),
		"0 a/small 644 0:0 0 " + is([]byte("small")),
		"5 home/ 700 65532:65532 0 " + is(nil),
		"0 home/" + strings.Repeat("long", 60) + "é 644 65532:65532 0 " + is([]byte("x")),
	}
	if !slices.Equal(entries, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(entries, "\n"), strings.Join(want, "\n"))
	}
	digest := sha256.Sum256(data)
	if w.DiffID != diffID || w.Digest != hex.EncodeToString(digest[:]) || w.Size != int64(len(data)) {
		t.Errorf("it says %+v of %d bytes with the diff ID %s", w, len(data), diffID)
	}

	slices.Reverse(files)
	if again, _ := write(t, files); !bytes.Equal(again, data) {
		t.Error("files in another order make another layer")
	}
}

// What has a key keeps layers under it, and finds none after these bytes have changed: then Version must.
func TestALayersBytesStay(t *testing.T) {
	_, w := write(t, []File{
		{Path: "a", Mode: 0o644, Content: Bytes(strings.Repeat("0123456789", 1000))},
		{Path: "b", Mode: 0o644, Content: deflate(t, noise(4<<10))},
	})
	const want = "a1e9e04dd1b942df9f83eeb60fd79270ffeb787a9970a71c0101fa1766ba8915"
	if w.Digest != want {
		t.Errorf("the digest is %s and was %s: give Version a new number", w.Digest, want)
	}
}

func TestWhatIsNoLayerIsRefused(t *testing.T) {
	good := deflate(t, noise(8<<10))
	cut, behind, other := good, good, good
	cut.stream = cut.stream[:len(cut.stream)-5]
	behind.stream = append(slices.Clone(behind.stream), 0, 0)
	other.sum++
	for _, c := range []struct {
		name, want string
		files      []File
	}{
		{"a path twice", `"a" twice`, []File{{Path: "a", Content: Bytes("1")}, {Path: "a", Content: Bytes("2")}}},
		{"a path above the root", `"../a" is no path`, []File{{Path: "../a"}}},
		{"an absolute path", `"/a" is no path`, []File{{Path: "/a"}}},
		{"a path that is not clean", `"a//b" is no path`, []File{{Path: "a//b"}}},
		{
			"something in a file", `"a/b" is in "a", which is no folder`,
			[]File{{Path: "a", Content: Bytes("1")}, {Path: "a/b", Content: Bytes("2")}},
		},
		{"a stream that is cut off", "its stream is damaged", []File{{Path: "a", Content: cut}}},
		{"a stream with something behind it", "behind the end", []File{{Path: "a", Content: behind}}},
		{"another checksum", "with the checksum", []File{{Path: "a", Content: other}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Write(t.Context(), io.Discard, c.files)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Whatever stream somebody hands over, a layer is made that everybody can read, or none.
func FuzzTakenOver(f *testing.F) {
	good := deflate(f, noise(4<<10))
	f.Add(good.stream, int64(4<<10))
	f.Add(append(slices.Clone(good.stream), good.stream...), int64(4<<10))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1000), int64(0))
	f.Fuzz(func(t *testing.T, stream []byte, size int64) {
		content, _ := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(stream)), 1<<20))
		if int64(len(content)) != size {
			content = content[:min(max(size, 0), int64(len(content)))]
		}
		files := []File{{Path: "a", Mode: 0o644, Content: deflated{content, stream, crc32.ChecksumIEEE(content)}}}
		var b bytes.Buffer
		w, err := Write(t.Context(), &b, files)
		if err != nil {
			return
		}
		if _, diffID := read(t, b.Bytes()); diffID != w.DiffID {
			t.Errorf("it says that its diff ID is %s, and it is %s", w.DiffID, diffID)
		}
	})
}

// The tar file is the same, whatever it is compressed by, and so are the compressed bytes each time.
func TestALayerOfZstdHasTheSameFiles(t *testing.T) {
	files := []File{
		{Path: "a/text", Mode: 0o644, Content: Bytes(strings.Repeat("text ", 1<<16))},
		{Path: "a/taken", Mode: 0o755, Content: deflate(t, noise(3<<20))},
		{Path: "a/link", Link: "text"},
		{Path: "home", Folder: true, Mode: 0o700, Owner: 7},
	}
	_, gzipped := write(t, files)
	var once, twice bytes.Buffer
	first, err := WriteZstd(t.Context(), &once, files)
	if err != nil {
		t.Fatal(err)
	}
	second, err := WriteZstd(t.Context(), &twice, files)
	if err != nil || first != second || !bytes.Equal(once.Bytes(), twice.Bytes()) {
		t.Errorf("it is %+v and %+v, %v", first, second, err)
	}
	if first.DiffID != gzipped.DiffID {
		t.Errorf("the tar file is %s, and by gzip %s", first.DiffID, gzipped.DiffID)
	}
	sum := sha256.Sum256(once.Bytes())
	if first.Digest != hex.EncodeToString(sum[:]) || first.Size != int64(once.Len()) {
		t.Errorf("it is %+v", first)
	}
	z, err := zstd.NewReader(&once)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain := sha256.New()
	if _, err := io.Copy(plain, z); err != nil || hex.EncodeToString(plain.Sum(nil)) != first.DiffID {
		t.Errorf("it is read as %x, %v", plain.Sum(nil), err)
	}
}
