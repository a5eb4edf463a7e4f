package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/usererror"
)

// MaxBytes bounds a document, in bytes of JSON.
const MaxBytes = 64 << 20

// Read reads one session document and checks it. Its errors are one sentence.
func Read(r io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the session document: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, errors.New("the session document is larger than 64 MiB")
	}
	var d Document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("this is not a session document: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return &d, nil
}

func (d *Document) check() error {
	switch {
	case d.V == 0:
		return errors.New("this is not a session document: it has no version")
	case d.V != Version:
		return fmt.Errorf("the session document has version %d, and this metaml reads version %d: install the same "+
			"version of metaml in the notebook and here", d.V, Version)
	}
	switch d.Kind {
	case Live, Saved, Script:
	default:
		return fmt.Errorf("the session document is of an unknown kind, %q", d.Kind)
	}
	seen := make(map[int]bool, len(d.Cells))
	for i := range d.Cells {
		c := &d.Cells[i]
		switch {
		case c.Seq <= 0:
			return fmt.Errorf("cell %d of the session document has the number %d; numbers begin at 1", i+1, c.Seq)
		case seen[c.Seq]:
			return fmt.Errorf("two cells of the session document have the number %d", c.Seq)
		case c.Parent == c.Seq:
			return fmt.Errorf("cell %d of the session document is its own parent", c.Seq)
		case c.FailedLine < 0:
			return fmt.Errorf("cell %d of the session document failed at line %d, which is no line", c.Seq,
				c.FailedLine)
		}
		seen[c.Seq] = true
	}
	return nil
}

// Cell gives the cell with a number, or nil.
func (d *Document) Cell(seq int) *Cell {
	for i := range d.Cells {
		if d.Cells[i].Seq == seq {
			return &d.Cells[i]
		}
	}
	return nil
}

// MaxFile bounds a notebook or a script, in bytes.
const MaxFile = 1 << 30

// FromFile makes the document of a file: of a notebook, if its name ends in .ipynb, else of a script. path is where it
// is, name what messages call it.
func FromFile(path, name string) (*Document, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", name, err)
	}
	if info.Size() > MaxFile {
		return nil, usererror.New(usererror.CodeTooLarge, "%s is larger than 1 GiB", name)
	}
	if strings.EqualFold(filepath.Ext(path), ".ipynb") {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		defer file.Close()
		return readNotebook(file, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return FromSource(data, path)
}

// FromSource makes the document of a Python file: of a notebook, where jupytext has written it as a script and a cell
// of ours is in it, else of a script.
func FromSource(src []byte, path string) (*Document, error) {
	d, err := FromScript(src, path)
	if err != nil {
		return nil, err
	}
	if notebook, ok := fromJupytext(d.Cells[0].Source, path); ok {
		return notebook, nil
	}
	return d, nil
}

// FromNotebook makes the document of a saved notebook: its code cells, once, in document order. They are called by the
// execution counts that were saved if every cell has one of its own, else by their number among the code cells.
func FromNotebook(data []byte, path string) (*Document, error) {
	return readNotebook(bytes.NewReader(data), path)
}

// readNotebook is FromNotebook for what is not in memory: outputs, which may be large, are passed over.
func readNotebook(r io.Reader, path string) (*Document, error) {
	nb, err := nbformat.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(path), err)
	}
	return FromCells(nb, path)
}

// FromCells makes the document of a notebook that was read, as [FromNotebook] does.
func FromCells(nb *nbformat.Notebook, path string) (*Document, error) {
	if !nb.IsPython() {
		return nil, fmt.Errorf("%s: this is a notebook in %s; programs are made from Python", name(path), nb.Language)
	}
	d := &Document{
		V: Version, Kind: Saved, Source: path, Cwd: folder(path), Interpreter: Interpreter{Version: nb.Version},
	}
	counted := nb.Counted()
	for _, c := range nb.Cells {
		if c.Type != "code" {
			continue
		}
		// The number is the cell's place among the code cells, empty ones too, so that people can count to it.
		cell := Cell{Seq: len(d.Cells) + 1, ID: c.ID, Source: newlines(c.Source)}
		if counted {
			cell.Count = c.Count
		}
		d.Cells = append(d.Cells, cell)
	}
	return d, nil
}

// FromScript makes the document of a script: the file as one cell.
func FromScript(src []byte, path string) (*Document, error) {
	src = []byte(strings.TrimPrefix(string(src), "\ufeff"))
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("%s: the file is not UTF-8", name(path))
	}
	if i := strings.IndexByte(string(src), 0); i >= 0 {
		return nil, fmt.Errorf("%s: byte %d is zero, so this is not Python", name(path), i)
	}
	return &Document{
		V: Version, Kind: Script, Source: path, Cwd: folder(path),
		Cells: []Cell{{Seq: 1, Source: newlines(string(src))}},
	}, nil
}

func newlines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

func name(path string) string {
	if path == "" {
		return "the input"
	}
	return path
}

func folder(path string) string {
	if path == "" {
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Dir(path)
	}
	return filepath.Dir(abs)
}
