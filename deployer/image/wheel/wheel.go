// Package wheel reads wheels and says which files of an image become of them: what installing does, without executing
// anything and without unpacking. It follows the binary distribution format of the Python Packaging User Guide
// (packaging.python.org/specifications/binary-distribution-format) and, for scripts, that of entry points.
//
// [Open] is the door. It may import deployer/image/layer.
package wheel

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/deployer/image/layer"
)

// Wheel is an open wheel.
type Wheel struct {
	Name    string // as its folder NAME-VERSION.dist-info has it
	Version string

	info  string // the folder's name
	file  *os.File
	files []*zip.File // without folders
}

// Scheme is where an environment lies in an image.
type Scheme struct {
	Prefix string // "opt/venv", without a slash before it
	Python string // "3.11"
}

// Packages is the folder of the packages, "opt/venv/lib/python3.11/site-packages".
func (s Scheme) Packages() string { return s.Prefix + "/lib/python" + s.Python + "/site-packages" }

// Bin is the folder of the programs.
func (s Scheme) Bin() string { return s.Prefix + "/bin" }

// Installer is what a distribution's metadata says who installed it.
const Installer = "metaml"

const (
	maxFiles    = 200_000
	maxMetadata = 64 << 20 // of a RECORD, in bytes: one line for each file
)

// Open opens a wheel. Close it when the layers with its files are written.
func Open(file string) (*Wheel, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	w, err := open(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the wheel %s: %w", path.Base(file), err), f.Close())
	}
	return w, nil
}

func open(f *os.File) (*Wheel, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, err
	}
	w := &Wheel{file: f}
	for _, entry := range archive.File {
		name := strings.TrimSuffix(entry.Name, "/")
		if !fs.ValidPath(name) || !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00") {
			return nil, fmt.Errorf("its entry %q is no path", entry.Name)
		}
		if name != entry.Name || entry.Mode().IsDir() {
			continue
		}
		if entry.Method != zip.Store && entry.Method != zip.Deflate {
			return nil, fmt.Errorf("its entry %q is compressed by method %d", entry.Name, entry.Method)
		}
		w.files = append(w.files, entry)
	}
	if len(w.files) > maxFiles {
		return nil, fmt.Errorf("it has %d files, more than %d", len(w.files), maxFiles)
	}
	return w, w.about()
}

// about finds the folder of the metadata, and reads what the format demands to be read.
func (w *Wheel) about() error {
	for _, f := range w.files {
		folder, name := path.Split(f.Name)
		if name == "WHEEL" && strings.HasSuffix(folder, ".dist-info/") && strings.Count(folder, "/") == 1 {
			if w.info != "" {
				return fmt.Errorf("it is two wheels, %s and %s", w.info, folder)
			}
			w.info = strings.TrimSuffix(folder, "/")
		}
	}
	var dash bool
	w.Name, w.Version, dash = strings.Cut(strings.TrimSuffix(w.info, ".dist-info"), "-")
	if !dash {
		return errors.New("it has no folder NAME-VERSION.dist-info with a file WHEEL")
	}
	data, err := w.read("WHEEL")
	if err != nil {
		return err
	}
	version := field(data, "Wheel-Version")
	if major, _, _ := strings.Cut(version, "."); major != "1" {
		return fmt.Errorf("it has version %q of the format, and version 1 is known", version)
	}
	return nil
}

// Close closes the file.
func (w *Wheel) Close() error { return w.file.Close() }

// field is a header's value in metadata, "" where there is none.
func field(data []byte, name string) string {
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// read reads a file of the metadata. One that is not there is empty.
func (w *Wheel) read(name string) ([]byte, error) {
	i := slices.IndexFunc(w.files, func(f *zip.File) bool { return f.Name == w.info+"/"+name })
	if i < 0 {
		return nil, nil
	}
	return readAll(w.files[i])
}

func readAll(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name, err)
	}
	if len(data) > maxMetadata {
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", f.Name, maxMetadata>>20)
	}
	return data, nil
}

// content is a file of a wheel. It is compressed already.
type content struct{ *zip.File }

func (c content) Size() int64 { return int64(c.UncompressedSize64) }

func (c content) Open() (io.ReadCloser, error) { return c.File.Open() }

type deflated struct{ content }

func (d deflated) OpenDeflated() (io.Reader, error) { return d.OpenRaw() }
func (d deflated) DeflatedSize() int64              { return int64(d.CompressedSize64) }
func (d deflated) CRC32() uint32                    { return d.File.CRC32 }

// maxSize bounds a file, in bytes; more is no file of a package.
const maxSize = 64 << 30

// Content is a file of a zip file as a layer takes it.
func Content(f *zip.File) layer.Content {
	if f.Method == zip.Deflate {
		return deflated{content{f}}
	}
	return content{f}
}

// Sources are the sources that may be compiled: their paths below the folder of the packages, and what they are.
func (w *Wheel) Sources() map[string]*zip.File {
	sources := map[string]*zip.File{}
	for _, f := range w.files {
		if at, kind := w.place(f.Name); kind == inPackages && strings.HasSuffix(at, ".py") {
			sources[at] = f
		}
	}
	return sources
}

// Files are what the wheel is in an environment. With them is what its sources compile to, by the path of the source
// below the folder of the packages.
func (w *Wheel) Files(at Scheme, compiled map[string]layer.Content) ([]layer.File, error) {
	in := &installation{Scheme: at, wheel: w, moved: map[string]string{}, edited: map[string]bool{}}
	for _, f := range w.files {
		if err := in.file(f); err != nil {
			return nil, fmt.Errorf("install %s %s: %w", w.Name, w.Version, err)
		}
	}
	for source, code := range compiled {
		folder, name := path.Split(source)
		cached := folder + "__pycache__/" + strings.TrimSuffix(name, ".py") + ".cpython-" +
			strings.ReplaceAll(at.Python, ".", "") + ".pyc"
		in.add(layer.File{Path: at.Packages() + "/" + cached, Mode: 0o644, Content: code})
		in.record = append(in.record, []string{cached, "", ""})
	}
	if err := in.metadata(); err != nil {
		return nil, fmt.Errorf("install %s %s: %w", w.Name, w.Version, err)
	}
	return in.files, nil
}

// installation is a wheel as it is installed.
type installation struct {
	Scheme
	wheel  *Wheel
	files  []layer.File
	record [][]string // lines of the new RECORD, beside those of files that stay what they are
	moved  map[string]string
	edited map[string]bool
}

func (in *installation) add(f layer.File) { in.files = append(in.files, f) }

// The kinds of places that a file of a wheel has.
type kind int

const (
	inPackages kind = iota // in the folder of the packages
	inScripts              // in bin
	inHeaders
	inData     // below the prefix
	ofMetadata // in the folder of the metadata, and written anew
)

// place says where a file of the wheel goes.
func (w *Wheel) place(name string) (at string, where kind) {
	if name == w.info+"/RECORD" || name == w.info+"/INSTALLER" {
		return name, ofMetadata
	}
	data := strings.TrimSuffix(w.info, ".dist-info") + ".data/"
	rest, is := strings.CutPrefix(name, data)
	if !is {
		return name, inPackages
	}
	category, at, _ := strings.Cut(rest, "/")
	switch category {
	case "purelib", "platlib":
		return at, inPackages
	case "scripts":
		return at, inScripts
	case "headers":
		return at, inHeaders
	default:
		return at, inData
	}
}

func (in *installation) file(f *zip.File) error {
	at, where := in.wheel.place(f.Name)
	if at == "" {
		return fmt.Errorf("%q is a file where a folder is to be", f.Name)
	}
	if f.UncompressedSize64 > maxSize || f.CompressedSize64 > maxSize {
		return fmt.Errorf("%s says that it has %d bytes", f.Name, f.UncompressedSize64)
	}
	c := Content(f)
	file := layer.File{Mode: 0o644, Content: c}
	if f.Mode()&0o111 != 0 {
		file.Mode = 0o755
	}
	switch where {
	case ofMetadata:
		return nil
	case inPackages:
		file.Path = in.Packages() + "/" + at
	case inScripts:
		file.Path, file.Mode = in.Bin()+"/"+at, 0o755
		var err error
		if file.Content, err = in.script(f, c); err != nil {
			return err
		}
	case inHeaders:
		file.Path = in.Prefix + "/include/site/python" + in.Python + "/" + in.wheel.Name + "/" + at
	case inData:
		file.Path = in.Prefix + "/" + at
	}
	if changed, is := file.Content.(layer.Bytes); is {
		in.note(file.Path, changed)
		in.edited[f.Name] = true
	} else if file.Path != in.Packages()+"/"+f.Name {
		in.moved[f.Name] = in.relative(file.Path)
	}
	in.add(file)
	return nil
}

// relative is a path as RECORD has it: from the folder of the packages.
func (in *installation) relative(at string) string {
	if below, is := strings.CutPrefix(at, in.Packages()+"/"); is {
		return below
	}
	return "../../../" + strings.TrimPrefix(at, in.Prefix+"/")
}

// note adds a line to RECORD for a file that is written here.
func (in *installation) note(at string, data []byte) {
	sum := sha256.Sum256(data)
	in.record = append(in.record, []string{
		in.relative(at), "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]), fmt.Sprint(len(data)),
	})
}

// script puts the environment's Python into the first line of a script that says #!python.
func (in *installation) script(f *zip.File, c layer.Content) (layer.Content, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	begin, err := bufio.NewReader(r).Peek(len("#!python"))
	if err != nil || string(begin) != "#!python" {
		return c, nil // a program, or a script of another language
	}
	data, err := readAll(f)
	if err != nil {
		return nil, err
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	_, arguments, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	if len(arguments) > 0 {
		arguments = append([]byte(" "), arguments...)
	}
	return layer.Bytes(slices.Concat([]byte("#!/"+in.Bin()+"/python"), arguments, []byte("\n"), rest)), nil
}

// metadata writes what installing adds: scripts for entry points, INSTALLER, and RECORD.
func (in *installation) metadata() error {
	points, err := in.wheel.read("entry_points.txt")
	if err != nil {
		return err
	}
	for _, p := range entryPoints(points) {
		text, err := p.script(in.Bin())
		if err != nil {
			return err
		}
		at := in.Bin() + "/" + p.name
		if slices.ContainsFunc(in.files, func(f layer.File) bool { return f.Path == at }) {
			continue // the wheel brings a script of this name itself
		}
		in.add(layer.File{Path: at, Mode: 0o755, Content: layer.Bytes(text)})
		in.note(at, text)
	}
	installer := []byte(Installer + "\n")
	at := in.Packages() + "/" + in.wheel.info + "/INSTALLER"
	in.add(layer.File{Path: at, Mode: 0o644, Content: layer.Bytes(installer)})
	in.note(at, installer)
	return in.writeRecord()
}

func (in *installation) writeRecord() error {
	was, err := in.wheel.read("RECORD")
	if err != nil {
		return err
	}
	lines := csv.NewReader(bytes.NewReader(was))
	lines.FieldsPerRecord = -1
	before, err := lines.ReadAll()
	if err != nil {
		return fmt.Errorf("read RECORD: %w", err)
	}
	all := in.record
	for _, line := range before {
		if len(line) == 0 || in.edited[line[0]] {
			continue
		}
		if _, where := in.wheel.place(line[0]); where == ofMetadata {
			continue
		}
		if to := in.moved[line[0]]; to != "" {
			line = append([]string{to}, line[1:]...)
		}
		all = append(all, line)
	}
	self := in.wheel.info + "/RECORD"
	all = append(all, []string{self, "", ""})
	slices.SortFunc(all, slices.Compare)
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(all); err != nil {
		return err
	}
	in.add(layer.File{Path: in.Packages() + "/" + self, Mode: 0o644, Content: layer.Bytes(b.Bytes())})
	return nil
}
