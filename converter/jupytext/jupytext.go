package jupytext

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/nbformat"
)

// Percent writes a notebook as a script with a marker "# %%" before each cell, as jupytext does with "--to py:percent",
// and with the signs and the extension of the notebook's language.
func Percent(d *nbformat.Document, o Options) ([]byte, error) {
	n, err := fromDocument(d)
	if err != nil {
		return nil, err
	}
	f := percentFormat(o.language(d))
	return n.write(o, f, func(o Options) *writer { return newWriter(o, f, n.meta) }, func(text string) *notebook {
		return read(text, Options{}, f)
	})
}

// Script writes a notebook's code in its language, with Markdown as comments and a marker before each cell, and says
// which extension such files have. It is [Percent] without a header.
func Script(d *nbformat.Document) (text []byte, extension string, err error) {
	l := Options{}.language(d)
	text, err = Percent(d, Options{LikeJupytext: true, NoHeader: true})
	return text, l.extension, err
}

// Extension is that of the files that [Percent] and [Script] write.
func Extension(d *nbformat.Document) string { return scriptLanguage(d).extension }

// LanguageOf is the language of scripts with an extension, ".jl"; "" where it is none of a script.
func LanguageOf(extension string) string {
	l, _ := byExtension(extension)
	return l.name
}

// HasCells says whether a script has a cell's mark, "# %%" with the sign of its language.
func HasCells(data []byte, extension string) bool {
	l := Options{Extension: extension}.language(nil)
	mark := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(l.comment) + ` ?%%([ \t\r]|$)`)
	return mark.Match(data)
}

// language is the one that a script is written in.
func (o Options) language(d *nbformat.Document) language {
	l := languages[0]
	if d != nil {
		l = scriptLanguage(d)
	}
	if o.Extension == "" {
		return l
	}
	if known, ok := byExtension(o.Extension); ok {
		return known
	}
	l.extension = o.Extension
	return l
}

// FromPercent reads a script with cells, as jupytext, VS Code and Spyder know them. [Percent] gives it back byte for
// byte. The document is of version 4.5.
func FromPercent(data []byte, o Options) (*nbformat.Document, error) {
	if !utf8.Valid(data) {
		return nil, errEncoding
	}
	f := percentFormat(o.language(nil))
	n := read(string(data), o, f)
	return n.document(string(data), o, f, func(d *nbformat.Document) ([]byte, error) {
		return Percent(d, Options{Extension: o.Extension})
	})
}

var errEncoding = errors.New("the text is not UTF-8: save it in that encoding")

// write writes the notebook and makes sure that it comes back.
func (n *notebook) write(
	o Options, f format, writer func(Options) *writer, read func(string) *notebook,
) ([]byte, error) {
	if o.LikeJupytext || o.NoHeader {
		return []byte(writer(o).write(n)), nil
	}
	if n.text != nil && read(*n.text).same(n) {
		return []byte(*n.text), nil
	}
	w := writer(o)
	for _, relax := range []func(){
		func() {},
		func() { w.exactCells = true },
		func() { w.regions = true },
		func() { w.plainHeader = true },
		func() { w.jsonHeader = true },
	} {
		relax()
		text := w.write(n)
		if !w.exactCells {
			if n.carriage && !strings.Contains(text, "\r") {
				text = strings.ReplaceAll(text, "\n", "\r\n")
			}
			if n.mark {
				text = "\ufeff" + text
			}
		}
		if read(text).same(n) {
			return []byte(text), nil
		}
	}
	return nil, fmt.Errorf("the notebook cannot be written as %s: it would not come back as it is", f.name)
}

// same says whether two notebooks are the same apart from how they are laid out.
func (n *notebook) same(m *notebook) bool {
	if len(n.cells) != len(m.cells) || !sameMetadata(n.meta, m.meta) {
		return false
	}
	for i := range n.cells {
		if !n.cells[i].same(&m.cells[i]) {
			return false
		}
	}
	return true
}

// fromDocument takes from a document what text holds.
func fromDocument(d *nbformat.Document) (*notebook, error) {
	if major, _ := d.Version(); major != 4 {
		return nil, fmt.Errorf("the notebook is of version %d: upgrade it to version 4 first", major)
	}
	cells := d.Cells()
	all := metadataOf(d.Metadata())
	n := &notebook{meta: all.without(layoutKey), cells: make([]cell, len(cells))}
	l := all.get(layoutKey)
	n.header, n.text = stringOf(l.Get("header")), stringOf(l.Get("text"))
	n.carriage, n.mark = l.Get("newline").Text() == "\r\n", l.Get("bom").Bool()
	for _, e := range n.meta {
		if lone(e.value) {
			return nil, fmt.Errorf("the metadata %q has half of a surrogate pair, which text cannot hold", e.key)
		}
	}
	for i, dc := range cells {
		c := &n.cells[i]
		*c = cell{kind: dc.Type(), source: dc.Source(), blanks: -1}
		if c.kind != "code" && c.kind != "markdown" && c.kind != "raw" {
			return nil, fmt.Errorf("cell %d is of the unknown type %q", i+1, c.kind)
		}
		if lone(dc.Value().Get("source")) || lone(dc.Metadata()) {
			return nil, fmt.Errorf("cell %d has half of a surrogate pair, which text cannot hold", i+1)
		}
		meta := metadataOf(dc.Metadata())
		if len(meta) == 0 {
			continue
		}
		c.meta = meta.without(hints...)
		if k, ok := meta.get("lines_to_next_cell").Int(); ok && k >= 0 && k < 1000 {
			c.blanks = k
		}
		c.quotes = meta.get("cell_marker").Text()
		l := meta.get(layoutKey)
		c.mark, c.body = stringOf(l.Get("mark")), stringOf(l.Get("body"))
	}
	return n, nil
}

func stringOf(v *nbformat.Value) *string {
	if v.Kind() != nbformat.String {
		return nil
	}
	s := v.Text()
	return &s
}

// lone says whether a value has half of a surrogate pair in it, which its text does not show.
func lone(v *nbformat.Value) bool {
	switch v.Kind() {
	case nbformat.String:
		raw := v.Raw()
		return strings.Contains(raw, `\u`) && strings.Contains(v.Text(), "\ufffd") &&
			!strings.Contains(raw, "\ufffd") && !strings.Contains(strings.ToLower(raw), `\ufffd`)
	case nbformat.Array:
		for _, item := range v.Items() {
			if lone(item) {
				return true
			}
		}
	case nbformat.Object:
		for _, item := range v.Members() {
			if lone(item) {
				return true
			}
		}
	}
	return false
}

// document makes a document of what was read. Where writing it would not give the text back, it keeps the text.
func (n *notebook) document(
	text string, o Options, f format, write func(*nbformat.Document) ([]byte, error),
) (*nbformat.Document, error) {
	d, err := n.build(o, f)
	if err != nil {
		return nil, err
	}
	if back, err := write(d); err == nil && string(back) == text {
		return d, nil
	}
	n.text, n.header = &text, nil
	for i := range n.cells {
		c := &n.cells[i]
		c.mark, c.body, c.blanks, c.quotes = nil, nil, -1, ""
	}
	return n.build(o, f)
}

// build makes a document. The header is kept where it is not what would be written.
func (n *notebook) build(o Options, f format) (*nbformat.Document, error) {
	cells := make([]*nbformat.DocumentCell, len(n.cells))
	for i := range n.cells {
		c := &n.cells[i]
		cells[i] = nbformat.NewCell(c.kind, c.source)
		meta := nbformat.ObjectValue()
		for _, e := range c.meta {
			meta.Set(e.key, e.value)
		}
		if c.blanks >= 0 {
			meta.Set("lines_to_next_cell", nbformat.IntValue(c.blanks))
		}
		if c.quotes != "" {
			meta.Set("cell_marker", nbformat.StringValue(c.quotes))
		}
		l := nbformat.ObjectValue()
		if c.mark != nil {
			l.Set("mark", nbformat.StringValue(*c.mark))
		}
		if c.body != nil {
			l.Set("body", nbformat.StringValue(*c.body))
		}
		if l.Len() > 0 {
			meta.Set(layoutKey, l)
		}
		if meta.Len() > 0 {
			cells[i].SetMetadata(meta)
		}
	}
	d := nbformat.New()
	d.NewID = o.NewID
	if err := d.SetCells(cells); err != nil {
		return nil, fmt.Errorf("put the cells into a notebook: %w", err)
	}
	d.FillIDs()
	meta := n.meta.object()
	l := nbformat.ObjectValue()
	if n.header != nil {
		plain := *n
		plain.header = nil
		w := newWriter(Options{}, f, n.meta)
		first, header, _ := w.headerOf(&plain)
		usual := strings.Join(append(append(first, header...), ""), "\n")
		if len(header) > 0 {
			usual += "\n"
		}
		if usual != *n.header {
			l.Set("header", nbformat.StringValue(*n.header))
		}
	}
	if n.text != nil {
		l.Set("text", nbformat.StringValue(*n.text))
	}
	if n.carriage {
		l.Set("newline", nbformat.StringValue("\r\n"))
	}
	if n.mark {
		l.Set("bom", nbformat.BoolValue(true))
	}
	if l.Len() > 0 {
		meta.Set(layoutKey, l)
	}
	d.SetMetadata(meta)
	return d, nil
}
