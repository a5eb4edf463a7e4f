package ship

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/usererror"
)

// MaxProgram is how long a packed program may be, in bytes: a cluster keeps it in memory, with all else that it knows.
const MaxProgram = 8 << 20

// What of a program folder leaves this machine. Everything else in it stays, such as the session that it was cut from.
const (
	codeFolder = "code" // with the values of --with
	mapName    = "map.json"
)

// Program packs what of a program folder leaves this machine, for program.tar.gz: the code, what goes with it, the map
// of its lines to cells of a file that has a name and no path, and how names looked in the session, without values
// ([Masked] under key; it stays where key is ""). The same folder and key give the same bytes. A program that is too
// long is a user's mistake.
func Program(dir, key string) ([]byte, error) {
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	err = p.packAll(os.DirFS(dir), key)
	if errors.Is(err, errTooLong) {
		return nil, p.tooLong()
	}
	if err != nil {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	return p.packed.Bytes(), nil
}

// errTooLong is what writing to a packer's buffer fails with at its limit.
var errTooLong = errors.New("the program is too long")

// packer writes an archive of bounded length.
type packer struct {
	packed   bytes.Buffer
	compress *gzip.Writer
	archive  *tar.Writer

	largest string // file that is the longest so far
	size    int64  // of it
}

// Write takes what was compressed.
func (p *packer) Write(data []byte) (int, error) {
	if p.packed.Len()+len(data) > MaxProgram {
		return 0, errTooLong
	}
	return p.packed.Write(data)
}

func newPacker() (*packer, error) {
	p := &packer{}
	var err error
	if p.compress, err = gzip.NewWriterLevel(p, gzip.BestCompression); err != nil {
		return nil, err
	}
	p.archive = tar.NewWriter(p.compress)
	return p, nil
}

func (p *packer) packAll(dir fs.FS, key string) error {
	if err := p.packFolder(dir, codeFolder); err != nil {
		return err
	}
	if err := p.packFolder(dir, folder.IncludeName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.packMap(dir); err != nil {
		return err
	}
	if key != "" {
		if err := p.packExpected(dir, key); err != nil {
			return err
		}
	}
	return errors.Join(p.archive.Close(), p.compress.Close())
}

// packFolder packs a folder, in the order of names.
func (p *packer) packFolder(dir fs.FS, name string) error {
	return fs.WalkDir(dir, name, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%q is no file", name)
		}
		return p.packFile(dir, name)
	})
}

// packMap packs the map of the program's lines, if there is one. Where on this machine its source is stays here: the
// file's name is all that a traceback says of it.
func (p *packer) packMap(dir fs.FS) error {
	data, err := fs.ReadFile(dir, mapName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var lines map[string]any
	if err := json.Unmarshal(data, &lines); err != nil {
		return fmt.Errorf("read %s: %w", mapName, err)
	}
	if source, ok := lines["source"].(string); ok {
		lines["source"] = filepath.Base(source)
	}
	if data, err = json.Marshal(lines); err != nil {
		return err
	}
	return p.pack(mapName, 0o644, int64(len(data)), bytes.NewReader(data))
}

// packExpected packs how names looked, if it is known.
func (p *packer) packExpected(dir fs.FS, key string) error {
	data, err := fs.ReadFile(dir, folder.ExpectedName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if data, err = Masked(data, key); err != nil {
		return err
	}
	return p.pack(folder.ExpectedName, 0o644, int64(len(data)), bytes.NewReader(data))
}

func (p *packer) packFile(dir fs.FS, name string) error {
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return p.pack(name, mode, info.Size(), file)
}

// pack adds a file of which nothing but its name, content and whether it is a program is kept.
func (p *packer) pack(name string, mode, size int64, content io.Reader) error {
	if size > p.size {
		p.largest, p.size = name, size
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size, Format: tar.FormatPAX}
	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(p.archive, content)
	return err
}

// tooLong is the mistake of a program that takes too much along.
func (p *packer) tooLong() error {
	_, file, _ := strings.Cut(p.largest, "/")
	what := fmt.Sprintf("the file %q", file)
	if name, ok := strings.CutSuffix(path.Base(p.largest), ".pickle"); ok && path.Dir(p.largest) == "code/with" {
		what = fmt.Sprintf("the value of %s, which --with ships,", name)
	}
	return usererror.New(usererror.CodeTooLarge,
		"the program is too large for a cluster: compressed it has more than %d MiB, and %s has %.1f MiB",
		MaxProgram>>20, what, float64(p.size)/(1<<20)).
		With("Put the data on a volume of the cluster and read it from there: --mount pvc:NAME:PATH.")
}
