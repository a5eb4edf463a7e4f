// Package jupytext writes notebooks as text and reads them from text: as scripts with "# %%" cells, in Python and other
// languages, as Markdown, and from the scripts that Databricks exports. The text is that of jupytext's formats percent
// and md, so that each program reads what the other one writes. Read [Percent] and [FromPercent] first.
//
// Unlike jupytext's, a round trip is exact: a notebook comes back with the same cells, sources, types, cell metadata
// and notebook metadata, and a script that a person wrote comes back byte for byte. What the format cannot hold is
// kept in the marker of the cell ([cellKey]) or in the header ([metadataKey]); how a script was laid out is kept in
// the metadata of the notebook ([layoutKey]). Outputs, counts and ids are not in the text: [Keep] takes them from the
// notebook that was there before.
//
// It imports converter/nbformat and a library for YAML.
package jupytext

import "github.com/metaml/metaml/converter/nbformat"

const (
	// cellKey is in the marker of a cell that the format cannot hold: its metadata as JSON, and whether its lines are
	// quoted ("# > ").
	cellKey = "metaml_cell"
	// metadataKey is in the header in place of metadata that YAML does not give back as it was: JSON in a string.
	metadataKey = "metaml_metadata"
	// layoutKey is in the metadata of a notebook and its cells that came from text laid out otherwise than jupytext
	// does.
	layoutKey = "metaml_layout"

	// version is that of the jupytext whose text is written; its reader asks for one.
	version = "1.19.6"
)

// Options say how text is written and read.
type Options struct {
	// LikeJupytext writes what jupytext writes by default, byte for byte. It leaves out what jupytext thinks is not
	// worth
	// a line of text, such as language_info and the cell metadata "collapsed", and keeps no layout: the round trip is
	// then not exact.
	LikeJupytext bool
	// NoHeader leaves out the header with the notebook's metadata.
	NoHeader bool
	// Extension is that of the script, ".py" or ".R"; it says what begins a comment. "" takes that of the notebook's
	// language when text is written, and ".py" when it is read.
	Extension string
	// NewID makes the ids of the cells of a notebook that is read; nil makes random ones, as Jupyter does.
	NewID func() string
}

// entry is a key with its value.
type entry struct {
	key   string
	value *nbformat.Value
}

// metadata is what is known of a cell, in the order in which it is written.
type metadata []entry

func metadataOf(v *nbformat.Value) metadata {
	var m metadata
	for key, value := range v.Members() {
		m = append(m, entry{key, value})
	}
	return m
}

func (m metadata) get(key string) *nbformat.Value {
	for _, e := range m {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

func (m metadata) has(key string) bool {
	for _, e := range m {
		if e.key == key {
			return true
		}
	}
	return false
}

func (m *metadata) set(key string, value *nbformat.Value) {
	for i := range *m {
		if (*m)[i].key == key {
			(*m)[i].value = value
			return
		}
	}
	*m = append(*m, entry{key, value})
}

// without gives the metadata without some keys; m stays as it is.
func (m metadata) without(keys ...string) metadata {
	var out metadata
next:
	for _, e := range m {
		for _, key := range keys {
			if e.key == key {
				continue next
			}
		}
		out = append(out, e)
	}
	return out
}

// object makes a value that can be given to a document.
func (m metadata) object() *nbformat.Value {
	v := nbformat.ObjectValue()
	for _, e := range m {
		v.Set(e.key, e.value)
	}
	return v
}

// cell is a cell without what text does not hold.
type cell struct {
	kind   string // "code", "markdown" or "raw"
	source string
	meta   metadata

	// How the cell stood in the text, where that is not how it would be written.
	blanks int     // lines behind it; -1: as many as usual
	mark   *string // the line that begins it; "": none
	body   *string // its lines
	quotes string  // the quotes of a markdown cell that is a string: jupytext's cell_marker
}

// same says whether two cells are the same apart from how they are laid out.
func (c *cell) same(d *cell) bool {
	return c.kind == d.kind && c.source == d.source && sameMetadata(c.meta, d.meta)
}

func sameMetadata(a, b metadata) bool {
	if len(a) != len(b) {
		return false
	}
	for _, e := range a {
		if !b.has(e.key) || !equal(e.value, b.get(e.key)) {
			return false
		}
	}
	return true
}
