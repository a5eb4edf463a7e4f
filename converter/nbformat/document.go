package nbformat

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Document is a whole notebook, outputs too, as a tree that remembers how it was written: what is not changed is
// written back byte for byte. It is not safe for use by several goroutines at once.
type Document struct {
	// NewID makes the ids of cells that have none. Where it is nil, or gives what is taken again and again, they are
	// eight random hexadecimal digits, as Jupyter makes them.
	NewID func() string

	head   string // before the root: a byte order mark, blanks
	rest   string // behind it: the last newline
	root   *Value
	layout layout
}

// Parse reads a document. It refuses what Python's json refuses, what is no notebook, and the versions above 4; what is
// wrong inside of a notebook [Document.Validate] says.
func Parse(data []byte) (*Document, error) {
	text, root, from, to, err := parse(data)
	if err != nil {
		return nil, err
	}
	if root.Kind() != Object {
		return nil, fmt.Errorf("this is not a notebook: %q is a JSON %s", "/", root.Kind())
	}
	d := &Document{head: text[:from], rest: text[to:], root: root, layout: layoutOf(text, root)}
	t := top{cells: root.Get("cells").Kind() == Array, worksheets: root.Get("worksheets").Kind() == Array, format: 1}
	for _, key := range rootKeys {
		want := Array
		if key == "nbformat" {
			want = Number
		}
		if kind := root.Get(key).Kind(); kind != want && kind != Null {
			return nil, fmt.Errorf("this is not a notebook: %q is a JSON %s", "/"+key, kind)
		}
	}
	if f, ok := root.Get("nbformat").Float(); ok {
		t.format = f
	}
	return d, t.check()
}

// rootKeys are the keys that make a notebook, in the order in which they are complained about.
var rootKeys = []string{"cells", "worksheets", "nbformat"}

// top is what makes the root of a document that of a notebook.
type top struct {
	cells, worksheets bool
	format            float64
}

func (t top) check() error {
	if !t.cells && !t.worksheets {
		return errors.New("this is not a notebook: it has no cells")
	}
	if t.format != 1 && t.format != 2 && t.format != 3 && t.format != 4 {
		return fmt.Errorf("notebooks of version %v are not known; versions 1 to 4 are: save it as version 4", t.format)
	}
	return nil
}

// New makes a document of version 4.5 with these cells, in the layout that Jupyter writes. Cells without ids get them.
func New(cells ...*DocumentCell) *Document {
	d := &Document{root: ObjectValue(), layout: jupyter, rest: "\n"}
	list := ArrayValue()
	for _, c := range cells {
		list.Append(c.value)
	}
	d.root.Set("cells", list)
	d.root.Set("metadata", ObjectValue())
	d.root.Set("nbformat", IntValue(4))
	d.root.Set("nbformat_minor", IntValue(5))
	d.FillIDs()
	return d
}

// Bytes is the document: where nothing was changed, the bytes that were parsed.
func (d *Document) Bytes() []byte {
	b := append([]byte(nil), d.head...)
	b = d.layout.append(b, d.root, 0)
	return append(b, d.rest...)
}

// WriteTo writes the document to w, as [Document.Bytes] gives it.
func (d *Document) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(d.Bytes())
	if err != nil {
		return int64(n), fmt.Errorf("write the notebook: %w", err)
	}
	return int64(n), nil
}

// Root is the object that the document is.
func (d *Document) Root() *Value { return d.root }

// Version is the version of the format: 1 to 4, and its minor number.
func (d *Document) Version() (major, minor int) {
	major = 1
	if f, ok := d.root.Get("nbformat").Float(); ok {
		major = int(f)
	}
	return major, number(d.root.Get("nbformat_minor"))
}

// Metadata is the notebook's metadata; nil where there is none.
func (d *Document) Metadata() *Value { return d.root.Get("metadata") }

// SetMetadata sets the notebook's metadata.
func (d *Document) SetMetadata(metadata *Value) { d.root.Set("metadata", metadata) }

// Language is the language of the notebook's kernel, as it is written, or what jupytext's metadata says of the script
// that it was made of; "" where it is not said.
func (d *Document) Language() string {
	for _, at := range [][2]string{
		{"language_info", "name"}, {"kernelspec", "language"}, {"jupytext", "main_language"},
	} {
		if s := d.Metadata().Get(at[0]).Get(at[1]).Text(); s != "" {
			return s
		}
	}
	return ""
}

// LanguageVersion is the version of the language, "3.11.7"; "" where it is not said.
func (d *Document) LanguageVersion() string {
	return d.Metadata().Get("language_info").Get("version").Text()
}

// lists are the lists that hold cells.
func (d *Document) lists() []*Value {
	var lists []*Value
	if v := d.root.Get("cells"); v.Kind() == Array {
		lists = append(lists, v)
	}
	for _, sheet := range d.root.Get("worksheets").Items() {
		if v := sheet.Get("cells"); v.Kind() == Array {
			lists = append(lists, v)
		}
	}
	return lists
}

// Cells are the cells, those of all worksheets too. One that is no object, in a document that breaks the rules, has no
// type and must not be changed. What is changed in them is changed in the document; the slice is the caller's.
func (d *Document) Cells() []*DocumentCell {
	version, _ := d.Version()
	var cells []*DocumentCell
	for _, list := range d.lists() {
		cells = slices.Grow(cells, list.Len())
		for _, v := range list.Items() {
			cells = append(cells, &DocumentCell{value: v, version: version})
		}
	}
	return cells
}

// SetCells makes these the cells of the document, which must be of version 4 ([Document.Upgrade]). Cells of the
// document that are among them stay as they were written; new ones get ids where the version has ids.
func (d *Document) SetCells(cells []*DocumentCell) error {
	if major, minor := d.Version(); major != 4 {
		return fmt.Errorf("cells cannot be put into a notebook of version %d.%d: upgrade it to version 4 first",
			major, minor)
	}
	list := d.root.Get("cells")
	if list.Kind() != Array {
		list = ArrayValue()
		d.root.Set("cells", list)
	}
	old := make(map[*Value]element, list.Len())
	for _, e := range list.elements {
		old[e.value] = e
	}
	elements := make([]element, 0, len(cells))
	for _, c := range cells {
		e := old[c.value]
		e.value = c.value
		elements = append(elements, e)
	}
	list.arrange(elements)
	if _, minor := d.Version(); minor >= 5 {
		d.FillIDs()
	}
	return nil
}

// FillIDs gives an id to each cell that has none.
func (d *Document) FillIDs() {
	used := map[string]bool{}
	cells := d.Cells()
	for _, c := range cells {
		if c.value.Kind() == Object {
			used[c.ID()] = true
		}
	}
	for _, c := range cells {
		if c.value.Kind() == Object && !c.value.Has("id") {
			c.SetID(d.newID(used))
		}
	}
}

// newID makes an id that is not among the used ones, and adds it to them.
func (d *Document) newID(used map[string]bool) string {
	for try := 0; ; try++ {
		var id string
		if d.NewID != nil && try < 100 {
			id = d.NewID()
		} else {
			var random [4]byte
			_, _ = rand.Read(random[:]) // it never fails
			id = hex.EncodeToString(random[:])
		}
		if id != "" && !used[id] {
			used[id] = true
			return id
		}
	}
}
