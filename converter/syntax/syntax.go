// Package syntax parses Python into a compact tree of named nodes. It is the converter's own small interface to the
// parser, which is tree-sitter with its Python grammar, so that the parser can be changed without a change in the
// packages that use it. Read [Parse] and [Node] first; the kinds are the grammar's own.
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

// Between is the source text between the child with the index and the one before it: an operator, a comma.
func (n *Node) Between(i int) string { return n.tree.Src[n.Children[i-1].End:n.Children[i].Start] }

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
	kinds  []string
	fields []string
}

func load() {
	useLibraryAllocator()
	lang := sitter.NewLanguage(python.Language())
	n := lang.NodeKindCount()
	tables.kinds = make([]string, n)
	for i := range n {
		tables.kinds[i] = lang.NodeKindForId(uint16(i)) // the grammar has 275 kinds
	}
	f := lang.FieldCount()
	tables.fields = make([]string, f+1)
	for i := uint32(1); i <= f; i++ {
		tables.fields[i] = lang.FieldNameForId(uint16(i)) // a few dozen fields
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
	flats, release, err := parseFlat(python.Language(), src)
	if err != nil {
		return nil, err
	}
	defer release()
	t := &Tree{Src: src}
	b := builder{t: t}
	slab := make([]Node, len(flats))
	parents := make([]int32, len(flats)) // the index of each node's parent; -1 of the root and of what is left out
	counts := make([]int32, len(flats))  // how many children each node has
	type open struct{ index, depth int32 }
	var stack []open // from the root to the present node
	for i := range flats {
		f := &flats[i]
		depth := int32(f.depth) // bounded by MaxDepth
		for len(stack) > 0 && stack[len(stack)-1].depth >= depth {
			stack = stack[:len(stack)-1]
		}
		n := &slab[i]
		n.fill(t, &b, f)
		parents[i] = -1
		if len(stack) > 0 && n.Kind != "comment" && n.Kind != "line_continuation" {
			parents[i] = stack[len(stack)-1].index
			counts[parents[i]]++
		}
		stack = append(stack, open{int32(i), depth}) // bounded by MaxBytes
	}
	// One slice holds the children of all nodes, one after the other.
	all := make([]*Node, 0, len(flats))
	for i := range slab {
		n := len(all)
		all = all[:n+int(counts[i])]
		slab[i].Children = all[n:n:len(all)]
	}
	for i, p := range parents {
		if p >= 0 {
			slab[p].Children = append(slab[p].Children, &slab[i])
		}
	}
	t.Root = &slab[0]
	for i := range slab {
		switch slab[i].Kind {
		case "type_alias_statement":
			slab[i].callOfType()
		case "module", "block":
			slab[i].tuplesAbove()
		}
	}
	return t, nil
}

// fill makes a node of what the parser gave.
func (n *Node) fill(t *Tree, b *builder, f *flat) {
	n.tree, n.Start, n.End = t, int(f.start), int(f.end)
	n.Row, n.EndRow = b.row(n.Start), b.row(max(n.Start, n.End-1))
	n.Kind, n.Error = "ERROR", f.symbol == errorKind || f.missing != 0
	if f.symbol != errorKind {
		n.Kind = tables.kinds[f.symbol]
	}
	n.Field = tables.fields[f.field]
	if n.Error && (t.ErrorAt == 0 || n.Row+1 < t.ErrorAt) {
		t.ErrorAt = n.Row + 1
	}
}

type builder struct {
	t     *Tree
	lines []int
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
