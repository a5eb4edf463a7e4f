// Package syntax parses Python into a compact tree of named nodes. It is the converter's own small interface to the parser, which is
// tree-sitter with its Python grammar, so that the parser can be changed without a change in the rooms that use it.
// Read [Parse] and [Node] first; the kinds are the grammar's own.
//
// It imports the parser and the standard library alone.
package syntax

import (
	"errors"
	"sync"

	sitter "github.com/tree-sitter/go-tree-sitter"
	python "github.com/tree-sitter/tree-sitter-python/bindings/go"
)

// Node is a named node of the tree. Offsets are bytes from 0; rows are lines from 0.
type Node struct {
	Kind     string
	Field    string // the field that it has in its parent, or ""
	Start    int
	End      int
	Row      int
	EndRow   int
	Error    bool // an error of its own, or a missing token
	Children []*Node
	tree     *Tree
}

// Tree is a parsed text.
type Tree struct {
	Src  string
	Root *Node
	// ErrorAt is the line from 1 of the first error, 0 if there is none.
	ErrorAt int
}

// Text is the source text of the node.
func (n *Node) Text() string { return n.tree.Src[n.Start:n.End] }

// Child gives the first child with the field, or nil.
func (n *Node) Child(field string) *Node {
	for _, c := range n.Children {
		if c.Field == field {
			return c
		}
	}
	return nil
}

// Of gives the first child of the kind, or nil.
func (n *Node) Of(kind string) *Node {
	for _, c := range n.Children {
		if c.Kind == kind {
			return c
		}
	}
	return nil
}

// Walk visits the node and all below it, as long as visit returns true for their parents.
func (n *Node) Walk(visit func(*Node) bool) {
	if !visit(n) {
		return
	}
	for _, c := range n.Children {
		c.Walk(visit)
	}
}

// MaxDepth bounds how deep a tree may be: deeper ones are refused, since walking them is recursive.
const MaxDepth = 2000

// MaxBytes bounds the text that is parsed.
const MaxBytes = 64 << 20

// Errors of [Parse] that have nothing to do with the grammar.
var (
	ErrTooDeep = errors.New("the code is nested too deeply")
	ErrTooLong = errors.New("the code is longer than 64 MiB")
)

var tables struct {
	sync.Once
	lang   *sitter.Language
	kinds  []string
	named  []bool
	fields []string
}

func load() {
	tables.lang = sitter.NewLanguage(python.Language())
	n := tables.lang.NodeKindCount()
	tables.kinds = make([]string, n)
	tables.named = make([]bool, n)
	for i := range n {
		tables.kinds[i] = tables.lang.NodeKindForId(uint16(i)) //nolint:gosec // the grammar has 275 kinds
		tables.named[i] = tables.lang.NodeKindIsNamed(uint16(i))
	}
	f := tables.lang.FieldCount()
	tables.fields = make([]string, f+1)
	for i := uint32(1); i <= f; i++ {
		tables.fields[i] = tables.lang.FieldNameForId(uint16(i)) //nolint:gosec // a few dozen fields
	}
}

// errorKind is the id that the library gives to error nodes in every language.
const errorKind = 65535

// Parse parses a text. A syntax error is not an error of Parse: see [Tree.ErrorAt].
func Parse(src string) (*Tree, error) {
	if len(src) > MaxBytes {
		return nil, ErrTooLong
	}
	tables.Do(load)
	p := sitter.NewParser()
	defer p.Close()
	if err := p.SetLanguage(tables.lang); err != nil {
		return nil, err
	}
	st := p.Parse([]byte(src), nil)
	defer st.Close()
	t := &Tree{Src: src}
	root := st.RootNode()
	b := builder{t: t, bad: root.HasError()}
	cur := root.Walk()
	defer cur.Close()
	t.Root = b.build(cur, 0)
	if b.deep {
		return nil, ErrTooDeep
	}
	if b.bad && t.ErrorAt == 0 {
		t.ErrorAt = 1
	}
	return t, nil
}

type builder struct {
	t     *Tree
	bad   bool // the tree has an error somewhere
	deep  bool
	slab  []Node
	lines []int
}

func (b *builder) node() *Node {
	if len(b.slab) == 0 {
		b.slab = make([]Node, 256)
	}
	n := &b.slab[0]
	b.slab = b.slab[1:]
	return n
}

func (b *builder) build(cur *sitter.TreeCursor, depth int) *Node {
	if depth > MaxDepth {
		b.deep = true
		return nil
	}
	sn := cur.Node()
	id := sn.KindId()
	n := b.node()
	n.tree = b.t
	start, end := sn.ByteRange()
	n.Start, n.End = int(start), int(end) //nolint:gosec // bounded by MaxBytes
	n.Row, n.EndRow = b.row(n.Start), b.row(max(n.Start, n.End-1))
	if id == errorKind {
		n.Kind, n.Error = "ERROR", true
	} else {
		n.Kind = tables.kinds[id]
	}
	n.Field = tables.fields[cur.FieldId()]
	if b.bad && (n.Error || sn.IsMissing()) {
		n.Error = true
		if line := n.Row + 1; b.t.ErrorAt == 0 || line < b.t.ErrorAt {
			b.t.ErrorAt = line
		}
	}
	if cur.GotoFirstChild() {
		for {
			cid := cur.Node().KindId()
			if cid == errorKind || tables.named[cid] || b.bad {
				if c := b.build(cur, depth+1); c != nil && (c.Error || cid == errorKind || tables.named[cid]) && c.Kind != "comment" && c.Kind != "line_continuation" {
					n.Children = append(n.Children, c)
				}
			}
			if b.deep || !cur.GotoNextSibling() {
				break
			}
		}
		cur.GotoParent()
	}
	return n
}

// row finds the line of an offset, from 0.
func (b *builder) row(offset int) int {
	if b.lines == nil {
		b.lines = append(b.lines, 0)
		for i := range len(b.t.Src) {
			if b.t.Src[i] == '\n' {
				b.lines = append(b.lines, i+1)
			}
		}
	}
	lo, hi := 0, len(b.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; b.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}
