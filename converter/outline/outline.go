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

// Names calls f with each name in a statement; attribute says that a dot stands before it. It ends where f gives false.
func (o *Outline) Names(s *Statement, f func(name string, attribute bool) bool) {
	for i := s.from; i < s.to; i++ {
		t := o.tokens[i]
		if t.kind != name {
			continue
		}
		dot := i > 0 && o.tokens[i-1].kind == op && o.Src[o.tokens[i-1].start:o.tokens[i-1].end] == "."
		if !f(o.Src[t.start:t.end], dot) {
			return
		}
	}
}

// Imported calls f with what an Import or From binds: the module, the name that is taken from it ("" for the module
// itself), and the name that it gets.
func (o *Outline) Imported(s *Statement, f func(module, name, as string)) {
	word := func(i int) string { return o.Src[o.tokens[i].start:o.tokens[i].end] }
	i := s.from + 1
	dotted := func() string {
		begin := i
		for i < s.to && (o.tokens[i].kind == name || word(i) == "." || word(i) == "...") {
			i++
		}
		if begin == i {
			return ""
		}
		return o.Src[o.tokens[begin].start:o.tokens[i-1].end]
	}
	module := ""
	if s.Kind == From {
		module = dotted()
		i++ // import
	}
	for i < s.to {
		what := word(i)
		if what == "(" || what == ")" || what == "," {
			i++
			continue
		}
		what = dotted()
		if what == "" { // *
			i++
			continue
		}
		as := what
		if i+1 < s.to && word(i) == "as" {
			as = word(i + 1)
			i += 2
		} else if s.Kind == Import {
			for j := range len(what) {
				if what[j] == '.' {
					as = what[:j]
					break
				}
			}
		}
		if s.Kind == From {
			f(module, what, as)
		} else {
			f(what, "", as)
		}
	}
}

// Defines is the name of a Definition.
func (o *Outline) Defines(s *Statement) string {
	depth := 0
	for i := s.from; i+1 < s.to; i++ {
		switch t := o.tokens[i]; {
		case t.kind == op && (o.Src[t.start] == '(' || o.Src[t.start] == '[' || o.Src[t.start] == '{'):
			depth++
		case t.kind == op && (o.Src[t.start] == ')' || o.Src[t.start] == ']' || o.Src[t.start] == '}'):
			depth--
		case t.kind == keyword && depth == 0:
			if w := o.Src[t.start:t.end]; w == "def" || w == "class" {
				return o.Src[o.tokens[i+1].start:o.tokens[i+1].end]
			}
		}
	}
	return ""
}

// Targets calls f with each name that an Assignment binds.
func (o *Outline) Targets(s *Statement, f func(name string)) {
	depth, last := 0, s.from
	for i := s.from; i < s.to; i++ { // up to the last sign at the outside
		t := o.tokens[i]
		if t.kind == keyword && o.Src[t.start:t.end] == "lambda" {
			break
		}
		if t.kind != op {
			continue
		}
		switch o.Src[t.start:t.end] {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "=":
			if depth == 0 {
				last = i
			}
		}
	}
	word := func(i int) string { return o.Src[o.tokens[i].start:o.tokens[i].end] }
	var elements []bool // of each open bracket: it is an index
	for i := s.from; i < last; i++ {
		t := o.tokens[i]
		next := word(i + 1)
		switch this := word(i); {
		case t.kind == op && (this == "(" || this == "["):
			before := i > s.from && (o.tokens[i-1].kind == name || word(i-1) == "]" || word(i-1) == ")")
			elements = append(elements, before || len(elements) > 0 && elements[len(elements)-1])
		case t.kind == op && (this == ")" || this == "]") && len(elements) > 0:
			elements = elements[:len(elements)-1]
		case t.kind == op && this == ":":
			return // an annotation
		case t.kind != name || len(elements) > 0 && elements[len(elements)-1]:
		case next == "." || next == "[" || next == "(":
		case i > s.from && word(i-1) == ".":
		default:
			f(this)
		}
	}
}
