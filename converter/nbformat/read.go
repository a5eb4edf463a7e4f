package nbformat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	Language      string // of the kernel, or of the script that it was made of; "" where it is not said
	Version       string // of the language: "3.11.7"; "" where it is not said
	Kernel        string // name of the kernel: "python3"; "" where it is not said
	Cells         []Cell
}

// Read reads a notebook for its code and text. Outputs and attachments are passed over and not held: it needs little
// more memory than the sources have. All of the input is checked as Python's json would, UTF-8 included; whether
// outputs are those of a notebook [Document.Validate] says. Its errors are one sentence that names the place, and of
// type [*Error] where they are about the text.
//
// Minor versions above 4.5 are read as 4.5, as Jupyter does.
func Read(r io.Reader) (*Notebook, error) { return read(r, nil, nil) }

// read notes where the cells stand, if there is a place for it, and says to a keeper, through which it reads, what to
// leave out.
func read(r io.Reader, places *[]Place, k *keeper) (*Notebook, error) {
	s, err := newScanner(r)
	if err != nil {
		return nil, err
	}
	if s.ahead = readAhead(r); s.ahead != nil {
		defer s.ahead.close()
	}
	p := reader{scanner: s, top: top{format: 1}, wrong: map[string]byte{}, places: places, keeper: k}
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
	for _, key := range rootKeys {
		if c, ok := p.wrong[key]; ok {
			return nil, fmt.Errorf("this is not a notebook: %q is a JSON %s", "/"+key, kind(c))
		}
	}
	if err := p.top.check(); err != nil {
		return nil, err
	}
	return p.notebook()
}

// IsPython says whether the notebook's language is Python, which it is where none is said.
func (nb *Notebook) IsPython() bool {
	l := strings.ToLower(nb.Language)
	return l == "" || l == "python" || l == "ipython" || strings.HasPrefix(l, "python3")
}

// Counted says whether each code cell with text has an execution count of its own, by which people know it then. Where
// one lacks it, all are known by their places among the code cells: else some would be called by what Jupyter shows at
// them and others by their place.
func (nb *Notebook) Counted() bool {
	seen := map[int]bool{}
	for i := range nb.Cells {
		c := &nb.Cells[i]
		if c.Type != "code" || strings.TrimSpace(c.Source) == "" {
			continue
		}
		if c.Count <= 0 || seen[c.Count] {
			return false
		}
		seen[c.Count] = true
	}
	return true
}

// ReadBytes reads a notebook that is in memory, as [Read] does.
func ReadBytes(data []byte) (*Notebook, error) { return Read(bytes.NewReader(data)) }

// reader collects what Read needs. Of a key that is written twice the last one counts.
type reader struct {
	*scanner
	top    top
	wrong  map[string]byte // keys at the root whose values are of a kind that no notebook has, and how they start
	minor  float64
	info   language
	cells  []rawCell
	sheets []rawCell
	ends   []int  // of the lines of all sources
	joined []byte // the lines of a source

	keeper *keeper  // nil where nothing is kept
	places *[]Place // nil where they are not wanted
	rows   []int    // then the lines of the file in which the strings of all sources stand
}

type language struct{ name, version, kernel, kernelName, main string }

// rawCell is a cell before the version is known, which may stand behind the cells.
type rawCell struct {
	sheet, number int // the worksheet, -1 for none, and the place in it
	row           int // the line of the file in which it begins
	kind          string
	id            string
	sources       [len(sourceKeys)]source
	count, prompt float64
	level         float64
	tags          []string
	err           error // why it cannot be read
}

// path is where the cell is.
func (c *rawCell) path() string {
	if c.sheet < 0 {
		return fmt.Sprintf("/cells/%d", c.number)
	}
	return fmt.Sprintf("/worksheets/%d/cells/%d", c.sheet, c.number)
}

// source is a string or a list of lines: its text without what the lines may have to be joined by, and where in
// reader.ends their ends are.
type source struct {
	set, list bool
	text      string
	from, to  int
}

func (p *reader) root(key []byte) error {
	delete(p.wrong, string(key))
	switch string(key) {
	case "nbformat":
		p.top.format = 1
		if c := p.blank(); kind(c) != "number" && c != 'n' {
			return p.notThis(string(key))
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
			return p.notThis(string(key))
		}
		p.top.cells = true
		return p.array(func(i int) error { return p.cell(&p.cells, -1, i) })
	case "worksheets":
		p.sheets, p.top.worksheets = nil, false
		if c := p.blank(); c != '[' {
			return p.notThis(string(key))
		}
		p.top.worksheets = true
		return p.array(p.sheet)
	}
	return p.skip()
}

// notThis passes over a value at the root that is of the wrong kind; null is as if it were not there.
func (p *reader) notThis(key string) error {
	if c := p.blank(); c != 'n' {
		p.wrong[key] = c
	}
	return p.skip()
}

func (p *reader) sheet(i int) error {
	start := len(p.sheets)
	return p.members(func(key []byte) error {
		if string(key) != "cells" || p.blank() != '[' {
			return p.skip()
		}
		p.sheets = p.sheets[:start]
		return p.array(func(j int) error {
			return p.cell(&p.sheets, i, j)
		})
	})
}

// members reads an object by f; another value is passed over.
func (p *reader) members(f func(key []byte) error) error {
	if p.blank() != '{' {
		return p.skip()
	}
	return p.object(f)
}

func (p *reader) metadata(key []byte) error {
	switch string(key) {
	case "language_info":
		p.info.name, p.info.version = "", ""
		return p.members(func(key []byte) (err error) {
			switch string(key) {
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
		p.info.kernel, p.info.kernelName = "", ""
		return p.members(func(key []byte) (err error) {
			switch string(key) {
			case "language":
				p.info.kernel, err = p.string()
			case "name":
				p.info.kernelName, err = p.string()
			default:
				err = p.skip()
			}
			return err
		})
	case "jupytext":
		p.info.main = ""
		return p.members(func(key []byte) (err error) {
			if string(key) == "main_language" {
				p.info.main, err = p.string()
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
	if p.blank() != '"' {
		return "", p.skip()
	}
	if err := p.str(true); err != nil {
		return "", err
	}
	if !p.escaped {
		for _, word := range [...]string{"code", "markdown", "raw"} {
			if string(p.text) == word {
				return word, nil // without memory of its own
			}
		}
		return string(p.text), nil
	}
	text, lone := unescape(string(p.text))
	if lone {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	return text, nil
}

func (p *reader) cell(cells *[]rawCell, sheet, number int) error {
	*cells = append(*cells, rawCell{sheet: sheet, number: number})
	c := &(*cells)[len(*cells)-1]
	b := p.blank()
	if c.row = p.line1(); b != '{' {
		c.err = fmt.Errorf("it is a JSON %s, not an object", kind(b))
		return p.skip()
	}
	return p.object(func(key []byte) (err error) {
		for i, k := range sourceKeys {
			if string(key) == k {
				c.sources[i], err = p.source(c)
				return err
			}
		}
		switch string(key) {
		case "cell_type":
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
			err = p.members(func(key []byte) error {
				if string(key) != "tags" {
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
		case "outputs":
			err = p.leaveOut("[]")
		case "attachments":
			err = p.leaveOut("{}")
		default:
			err = p.skip()
		}
		return err
	})
}

// source reads a string or a list of strings.
func (p *reader) source(c *rawCell) (source, error) {
	src := source{set: true, from: len(p.ends)}
	p.joined = p.joined[:0]
	var err error
	switch p.blank() {
	case 'n':
		src.set = false
		return src, p.skip()
	case '[':
		src.list = true
		err = p.array(func(int) error { return p.line(c) })
	default:
		err = p.line(c)
	}
	src.text, src.to = string(p.joined), len(p.ends)
	return src, err
}

// line reads a string of a source into joined.
func (p *reader) line(c *rawCell) error {
	if p.blank() != '"' {
		c.fail(errors.New("its source is neither a string nor a list of strings"))
		return p.skip()
	}
	at, line, column := p.offset(), p.line1(), p.column()
	if err := p.str(true); err != nil {
		return err
	}
	lone := false
	if p.escaped {
		p.joined, lone = appendUnescaped(p.joined, p.text)
	} else {
		p.joined = append(p.joined, p.text...)
	}
	p.ends = append(p.ends, len(p.joined))
	if p.places != nil {
		p.rows = append(p.rows, line)
	}
	if lone {
		c.fail(&Error{Offset: at, Line: line, Column: column, Text: fmt.Sprintf("its text at byte %d (line %d) has "+
			"half of a surrogate pair (\\ud800 to \\udfff), which is no character: take it out", at, line)})
	}
	return nil
}

func (c *rawCell) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// notebook makes the notebook of what was read.
func (p *reader) notebook() (*Notebook, error) {
	nb := &Notebook{
		Format: int(p.top.format), Minor: toInt(p.minor), Language: p.info.name, Version: p.info.version,
		Kernel: p.info.kernelName,
	}
	if nb.Language == "" {
		nb.Language = p.info.kernel
	}
	if nb.Language == "" {
		nb.Language = p.info.main
	}
	raw := append(p.cells, p.sheets...)
	if len(raw) > 0 {
		nb.Cells = make([]Cell, 0, len(raw))
	}
	for i := range raw {
		rc := &raw[i]
		if rc.err != nil {
			return nil, fmt.Errorf("cell %d of the notebook cannot be read (%s): %w", i+1, rc.path(), rc.err)
		}
		if rc.kind == "" {
			return nil, fmt.Errorf("cell %d of the notebook has no type (%s/cell_type)", i+1, rc.path())
		}
		cell := Cell{Type: rc.kind, ID: rc.id, Count: toInt(rc.count), Tags: rc.tags}
		if cell.Count == 0 {
			cell.Count = toInt(rc.prompt)
		}
		src := rc.source()
		cell.Source = p.join(src, nb.Format)
		if p.places != nil {
			*p.places = append(*p.places, place(rc.row, p.parts(src), p.rows[src.from:src.to], nb.Format))
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

// source is the first that is set.
func (c *rawCell) source() source {
	for _, s := range c.sources {
		if s.set {
			return s
		}
	}
	return source{}
}

func (p *reader) join(s source, version int) string {
	if !s.list || version == 4 || version == 1 {
		return s.text
	}
	return joinLines(p.parts(s), version)
}

// parts are the strings of a source.
func (p *reader) parts(s source) []string {
	lines := make([]string, 0, s.to-s.from)
	start := 0
	for _, end := range p.ends[s.from:s.to] {
		lines = append(lines, s.text[start:end])
		start = end
	}
	return lines
}
