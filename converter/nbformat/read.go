package nbformat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Cell is one cell of a notebook.
type Cell struct {
	Type   string // "code", "markdown", "raw"
	Source string
	ID     string
	Count  int // execution count; 0 where it was not executed
	Tags   []string
}

// Notebook is what a program needs of a notebook.
type Notebook struct {
	Format, Minor int
	Language      string // of the kernel; "" where it is not said
	Version       string // of the language: "3.11.7"; "" where it is not said
	Cells         []Cell
}

// Read reads a notebook for its code and text. Outputs and attachments are passed over and not held: it needs little
// more memory than the sources have. All of the input is checked as Python's json would, UTF-8 included; whether outputs
// are those of a notebook [Document.Validate] says. Its errors are one sentence that names the place, and of type
// [*Error] where they are about the text.
//
// Minor versions above 4.5 are read as 4.5, as Jupyter does.
func Read(r io.Reader) (*Notebook, error) {
	s, err := newScanner(r)
	if err != nil {
		return nil, err
	}
	p := reader{scanner: s, top: top{format: 1}}
	if s.blank() != '{' {
		// What is no JSON at all is said first.
		c := s.blank()
		if err := s.skip(); err != nil {
			return nil, err
		}
		if err := s.end(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("this is not a notebook: %q is a JSON %s", "/", kind(c))
	}
	if err := s.object(p.root); err != nil {
		return nil, err
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	if p.wrong != nil {
		return nil, p.wrong
	}
	if err := p.top.check(); err != nil {
		return nil, err
	}
	return p.notebook()
}

// ReadBytes reads a notebook that is in memory, as [Read] does.
func ReadBytes(data []byte) (*Notebook, error) { return Read(bytes.NewReader(data)) }

// reader collects what Read needs. Of a key that is written twice the last one counts.
type reader struct {
	*scanner
	top    top
	wrong  error // the first thing at the root that no notebook has
	minor  float64
	info   language
	cells  []*rawCell
	sheets []*rawCell
}

type language struct{ name, version, kernel string }

// rawCell is a cell before the version is known, which may stand behind the cells.
type rawCell struct {
	path          string
	kind          string
	typed         bool
	id            string
	sources       [len(sourceKeys)]source
	count, prompt float64
	level         float64
	tags          []string
	err           error // why it cannot be read
}

type source struct {
	set, list bool
	parts     []string
}

func (p *reader) root(key string) error {
	switch key {
	case "nbformat":
		p.top.format = 1
		if c := p.blank(); kind(c) != "number" && c != 'n' {
			return p.notThis(key)
		}
		f, ok, err := p.float()
		if ok {
			p.top.format = f
		}
		return err
	case "nbformat_minor":
		var err error
		p.minor, _, err = p.float()
		return err
	case "metadata":
		p.info = language{}
		return p.members(p.metadata)
	case "cells":
		p.cells, p.top.cells = nil, false
		if c := p.blank(); c != '[' {
			return p.notThis(key)
		}
		p.top.cells = true
		return p.array(func(i int) error { return p.cell(&p.cells, "/cells/"+strconv.Itoa(i)) })
	case "worksheets":
		p.sheets, p.top.worksheets = nil, false
		if c := p.blank(); c != '[' {
			return p.notThis(key)
		}
		p.top.worksheets = true
		return p.array(p.sheet)
	}
	return p.skip()
}

// notThis passes over a value at the root that is of the wrong kind; null is as if it were not there.
func (p *reader) notThis(key string) error {
	if c := p.blank(); c != 'n' && p.wrong == nil {
		p.wrong = fmt.Errorf("this is not a notebook: %q is a JSON %s", "/"+key, kind(c))
	}
	return p.skip()
}

func (p *reader) sheet(i int) error {
	start := len(p.sheets)
	return p.members(func(key string) error {
		if key != "cells" || p.blank() != '[' {
			return p.skip()
		}
		p.sheets = p.sheets[:start]
		return p.array(func(j int) error {
			return p.cell(&p.sheets, "/worksheets/"+strconv.Itoa(i)+"/cells/"+strconv.Itoa(j))
		})
	})
}

// members reads an object by f; another value is passed over.
func (p *reader) members(f func(key string) error) error {
	if p.blank() != '{' {
		return p.skip()
	}
	return p.object(f)
}

func (p *reader) metadata(key string) error {
	switch key {
	case "language_info":
		p.info.name, p.info.version = "", ""
		return p.members(func(key string) (err error) {
			switch key {
			case "name":
				p.info.name, err = p.string()
			case "version":
				p.info.version, err = p.string()
			default:
				err = p.skip()
			}
			return err
		})
	case "kernelspec":
		p.info.kernel = ""
		return p.members(func(key string) (err error) {
			if key == "language" {
				p.info.kernel, err = p.string()
				return err
			}
			return p.skip()
		})
	}
	return p.skip()
}

// float reads a number; ok is false for other values.
func (p *reader) float() (f float64, ok bool, err error) {
	c := p.blank()
	if kind(c) != "number" {
		return 0, false, p.skip()
	}
	if err := p.scalar(); err != nil {
		return 0, false, err
	}
	return parseFloat(string(p.text)), true, nil
}

// string reads a string; it gives "" for other values. Half of a surrogate pair becomes U+FFFD.
func (p *reader) string() (string, error) {
	s, _, err := p.characters()
	return s, err
}

// characters reads a string and says whether it has half of a surrogate pair; it gives "" for other values.
func (p *reader) characters() (text string, lone bool, err error) {
	if p.blank() != '"' {
		return "", false, p.skip()
	}
	if err := p.str(true); err != nil || !p.escaped {
		return string(p.text), false, err
	}
	text, lone = unescape(string(p.text))
	if lone {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	return text, lone, nil
}

func (p *reader) cell(cells *[]*rawCell, path string) error {
	c := &rawCell{path: path}
	*cells = append(*cells, c)
	if b := p.blank(); b != '{' {
		c.err = fmt.Errorf("it is a JSON %s, not an object", kind(b))
		return p.skip()
	}
	return p.object(func(key string) (err error) {
		for i, k := range sourceKeys {
			if key == k {
				c.sources[i], err = p.source(c)
				return err
			}
		}
		switch key {
		case "cell_type":
			c.typed = p.blank() == '"'
			c.kind, err = p.string()
		case "id":
			c.id, err = p.string()
		case "execution_count":
			c.count, _, err = p.float()
		case "prompt_number":
			c.prompt, _, err = p.float()
		case "level":
			c.level, _, err = p.float()
		case "metadata":
			c.tags = nil
			err = p.members(func(key string) error {
				if key != "tags" {
					return p.skip()
				}
				c.tags = nil
				if p.blank() != '[' {
					return p.skip()
				}
				return p.array(func(int) error {
					tag, err := p.string()
					if tag != "" {
						c.tags = append(c.tags, tag)
					}
					return err
				})
			})
		default:
			err = p.skip()
		}
		return err
	})
}

// source reads a string or a list of strings.
func (p *reader) source(c *rawCell) (source, error) {
	src := source{set: true}
	add := func() error {
		if p.blank() != '"' {
			c.fail(errors.New("its source is neither a string nor a list of strings"))
			return p.skip()
		}
		at, line, column := p.offset(), p.line+1, int(p.offset()-p.lineStart)+1
		text, lone, err := p.characters()
		if lone {
			c.fail(&Error{Offset: at, Line: line, Column: column, Text: fmt.Sprintf("its text at byte %d (line %d) has "+
				"half of a surrogate pair (\\ud800 to \\udfff), which is no character: take it out", at, line)})
		}
		src.parts = append(src.parts, text)
		return err
	}
	switch p.blank() {
	case 'n':
		src.set = false
		return src, p.skip()
	case '[':
		src.list = true
		return src, p.array(func(int) error { return add() })
	}
	return src, add()
}

func (c *rawCell) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// notebook makes the notebook of what was read.
func (p *reader) notebook() (*Notebook, error) {
	nb := &Notebook{Format: int(p.top.format), Minor: toInt(p.minor), Language: p.info.name, Version: p.info.version}
	if nb.Language == "" {
		nb.Language = p.info.kernel
	}
	raw := append(p.cells, p.sheets...)
	if len(raw) > 0 {
		nb.Cells = make([]Cell, 0, len(raw))
	}
	for i, rc := range raw {
		if rc.err != nil {
			return nil, fmt.Errorf("cell %d of the notebook cannot be read (%s): %w", i+1, rc.path, rc.err)
		}
		if rc.kind == "" {
			return nil, fmt.Errorf("cell %d of the notebook has no type (%s/cell_type)", i+1, rc.path)
		}
		cell := Cell{Type: rc.kind, ID: rc.id, Count: toInt(rc.count), Tags: rc.tags}
		if cell.Count == 0 {
			cell.Count = toInt(rc.prompt)
		}
		for _, s := range rc.sources {
			if s.set {
				cell.Source = s.join(nb.Format)
				break
			}
		}
		switch rc.kind {
		case "heading":
			cell.Type, cell.Source = "markdown", heading(toInt(rc.level), cell.Source)
		case "html", "text":
			cell.Type = "markdown"
		}
		nb.Cells = append(nb.Cells, cell)
	}
	return nb, nil
}

func (s source) join(version int) string {
	if !s.list {
		return s.parts[0]
	}
	return joinLines(s.parts, version)
}
