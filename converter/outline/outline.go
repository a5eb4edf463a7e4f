// Package outline recognises ordinary Python quickly. [Of] either accepts a text, and then Python's compile does, in
// every version from 3.9 on, and its top-level statements are known; or it declines, and a real parser has to look. It
// declines what is rare or differs between versions: async, match, global, walrus outside of brackets, identifiers and
// indentation that are not ASCII letters and blanks, and so on. A cell of a notebook is accepted in some ten
// microseconds, where tree-sitter needs a hundred.
//
// It imports the standard library alone.
package outline

import "math"

// Kind is the kind of a statement.
type Kind uint8

// The kinds of statement.
const (
	Other      Kind = iota // any other, also compound ones
	Import                 // import a, b.c as d
	From                   // from a import b as c
	Definition             // def, class, with decorators
	Assignment             // targets = value, also with an annotation
	Expression             // an expression alone
)

// Statement is one at the top level. Offsets are bytes, rows are lines from 0; both ends of rows count.
type Statement struct {
	Kind        Kind
	Start, End  int
	Row, EndRow int
	Tuple       bool   // of an Expression: it is a tuple without brackets
	Callee      string // of an Expression that is one call: what is called, as it is written; else ""
	from, to    int    // its tokens
}

// Outline is a text that was accepted.
type Outline struct {
	Src        string
	Statements []Statement
	tokens     []tok
}

// Of recognises a text. It is false where it is not certain that Python accepts it.
func Of(src string) (*Outline, bool) {
	if len(src) > math.MaxInt32/2 {
		return nil, false
	}
	l := lexer{src: src, tokens: make([]tok, 0, len(src)/4+8)}
	if !l.run() {
		return nil, false
	}
	o := &Outline{Src: src, tokens: l.tokens}
	p := parser{src: src, tokens: l.tokens}
	row, at := 0, 0 // the line of the last offset that was asked for
	rowOf := func(offset int) int {
		for ; at < offset; at++ {
			if src[at] == '\n' {
				row++
			}
		}
		return row
	}
	for p.peek().kind != end {
		before := len(o.Statements)
		p.statement(func(s Statement) { o.Statements = append(o.Statements, s) })
		if p.failed {
			return nil, false
		}
		for i := before; i < len(o.Statements); i++ {
			s := &o.Statements[i]
			s.Start, s.End = int(p.tokens[s.from].start), int(p.tokens[s.to-1].end)
			s.Row = rowOf(s.Start)
			s.EndRow = rowOf(s.End)
		}
	}
	return o, true
}

// Word is a name in a statement.
type Word struct {
	Name      string
	Attribute bool // a dot stands before it
	Called    bool // a bracket stands behind it, and it is not what is defined
}

// Names calls f with each name in a statement. It ends where f gives false.
func (o *Outline) Names(s *Statement, f func(Word) bool) {
	for i := s.from; i < s.to; i++ {
		t := o.tokens[i]
		if t.kind != name {
			continue
		}
		next, before := o.tokens[i+1], ""
		if i > 0 {
			before = o.Src[o.tokens[i-1].start:o.tokens[i-1].end]
		}
		w := Word{
			Name: o.Src[t.start:t.end], Attribute: before == ".",
			Called: before != "def" && before != "class" && next.kind == op && o.Src[next.start] == '(',
		}
		if !f(w) {
			return
		}
	}
}

// Imports says whether anything is imported, in functions too.
func (o *Outline) Imports() bool {
	for _, t := range o.tokens {
		if t.kind == keyword && o.Src[t.start:t.end] == "import" {
			return true
		}
	}
	return false
}
