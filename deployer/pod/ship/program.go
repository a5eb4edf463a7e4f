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
	"slices"
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

// File is a file of a program that leaves this machine. Nothing of it is kept but its name, its content and whether it
// is a program.
type File struct {
	Name string // "code/main.py"
	Mode int64  // 0o644 or 0o755
	Size int64
	Path string // of the file on this machine; "" where Data is what is in it
	Data []byte
}

// Open reads it.
func (f *File) Open() (io.ReadCloser, error) {
	if f.Path == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), nil
	}
	return os.Open(f.Path)
}

// Files are what of a program folder leaves this machine: the code, what goes with it, and the map of its lines to the
// cells of a file that has a name and no path. The same folder gives the same files.
func Files(dir string) ([]File, error) {
	code, err := below(dir, codeFolder)
	if err != nil {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	included, err := below(dir, folder.IncludeName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	lines, err := mapOf(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	return slices.Concat(code, included, lines), nil
}

// Program packs the files of a program folder for program.tar.gz, and how names looked in the session, without values
// ([Masked] under key; it stays where key is ""). The same folder and key give the same bytes. A program that is too
// long is a user's mistake.
func Program(dir, key string) ([]byte, error) {
	files, err := Files(dir)
	if err != nil {
		return nil, err
	}
	return packed(files, dir, key)
}

// Expected packs for program.tar.gz how names looked in the session and nothing else: the program itself is in the
// image.
func Expected(dir, key string) ([]byte, error) { return packed(nil, dir, key) }

// MaxModel is how long a packed model may be that a cluster itself keeps, in bytes.
const MaxModel = 8 << 20

// ErrModelTooLong says that a model is longer than [MaxModel].
var ErrModelTooLong = errors.New("the model is too long")

// maxModelDepth bounds folders in folders, which links can make endless.
const maxModelDepth = 32

// ModelFiles are the files of a model, in the order of names. Links are followed, as where a server runs on the machine
// that has the model.
func ModelFiles(dir string) ([]File, error) {
	files, err := followed(dir, "", 0)
	if err != nil {
		return nil, fmt.Errorf("pack the model: %w", err)
	}
	return files, nil
}

func followed(dir, prefix string, depth int) (files []File, err error) {
	if depth > maxModelDepth {
		return nil, fmt.Errorf("its folders are nested more than %d deep, in %q", maxModelDepth, prefix)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at, name := filepath.Join(dir, e.Name()), path.Join(prefix, e.Name())
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a link to nothing
		case err != nil:
			return nil, err
		case info.IsDir():
			below, err := followed(at, name, depth+1)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		case info.Mode().IsRegular():
			files = append(files, fileAt(name, at, info))
		}
	}
	return files, nil
}

func fileAt(name, at string, info fs.FileInfo) File {
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return File{Name: name, Mode: mode, Size: info.Size(), Path: at}
}

// Model packs a model for model.tar.gz. The same files give the same bytes.
func Model(dir string) ([]byte, error) {
	files, err := ModelFiles(dir)
	if err != nil {
		return nil, err
	}
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	err = p.packAll(files)
	if errors.Is(err, errTooLong) {
		return nil, ErrModelTooLong
	}
	if err != nil {
		return nil, fmt.Errorf("pack the model: %w", err)
	}
	return p.packed.Bytes(), nil
}

func packed(files []File, dir, key string) ([]byte, error) {
	if key != "" {
		expected, err := expectedOf(dir, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("pack the program: %w", err)
		}
		files = append(files, expected...)
	}
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	err = p.packAll(files)
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

func (p *packer) packAll(files []File) error {
	for i := range files {
		if err := p.pack(&files[i]); err != nil {
			return err
		}
	}
	return errors.Join(p.archive.Close(), p.compress.Close())
}

// pack adds a file.
func (p *packer) pack(f *File) error {
	if f.Size > p.size {
		p.largest, p.size = f.Name, f.Size
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: f.Size, Format: tar.FormatPAX}
	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	_, err = io.Copy(p.archive, content)
	return err
}

// below gives the files of a folder, in the order of names.
func below(dir, name string) (files []File, err error) {
	err = filepath.WalkDir(filepath.Join(dir, name), func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%q is no file", relative)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, fileAt(filepath.ToSlash(relative), at, info))
		return nil
	})
	return files, err
}

// mapOf is the map of the program's lines, if there is one. Where on this machine its source is stays here: the file's
// name is all that a traceback says of it.
func mapOf(dir string) ([]File, error) {
	data, err := os.ReadFile(filepath.Join(dir, mapName))
	if err != nil {
		return nil, err
	}
	var lines map[string]any
	if err := json.Unmarshal(data, &lines); err != nil {
		return nil, fmt.Errorf("read %s: %w", mapName, err)
	}
	if source, ok := lines["source"].(string); ok {
		lines["source"] = filepath.Base(source)
	}
	if data, err = json.Marshal(lines); err != nil {
		return nil, err
	}
	return []File{inMemory(mapName, data)}, nil
}

// expectedOf is how names looked, if it is known.
func expectedOf(dir, key string) ([]File, error) {
	data, err := os.ReadFile(filepath.Join(dir, folder.ExpectedName))
	if err != nil {
		return nil, err
	}
	if data, err = Masked(data, key); errors.Is(err, errVersion) {
		return nil, nil // nothing is compared
	} else if err != nil {
		return nil, err
	}
	return []File{inMemory(folder.ExpectedName, data)}, nil
}

func inMemory(name string, data []byte) File {
	return File{Name: name, Mode: 0o644, Size: int64(len(data)), Data: data}
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
