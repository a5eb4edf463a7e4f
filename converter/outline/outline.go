// Package outline reads ordinary Python quickly: it gives the top-level statements of a text and the names in it,
// without a tree. Read [Of] first.
//
// It recognises the language by hand, and only what it is certain of: a text that it accepts is one that Python 3.9
// and later ones compile. What is rare or hard to judge (match statements, await outside of functions, type parameters,
// walrus in comprehensions) it declines, and so it does with everything that is no Python; package syntax parses those.
//
// It imports the standard library alone.
package outline

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Kind is the kind of a statement.
type Kind uint8

// The kinds of statement.
const (
	Other      Kind = iota
	Import          // import a.b as c
	FromImport      // from a import b as c
	Future          // from __future__ import annotations
	Definition      // a function or class, decorated or not
	Assign          // an assignment, an annotation too
	Augmented       // x += 1
	Expression
)

// Statement is a top-level statement. Offsets are bytes from 0; rows are lines from 0. The end of a statement with a
// block is where its last statement ends.
type Statement struct {
	Kind         Kind
	Tuple        bool // an expression that is a tuple without brackets
	Quiet        bool // a semicolon stands behind it
	Start, End   int
	Row, EndRow  int
	Target       string // the name that an assignment binds, if that is all that is left of its first =
	Callee       string // the text of what an expression calls, if the expression is a call
	Names        []Name
	ImportedFrom string // the module of a FromImport, with its dots
	Imported     []Imported
}

// Imported is a name that an import names. As is "" where it has no other one; a star has the name "*".
type Imported struct{ Name, As string }

// Use says what a name is for.
type Use uint8

// The uses of names.
const (
	Read      Use = iota // it is read, or part of an import or of a global statement
	Bind                 // the statement binds it, or deletes it, in the scope in which the statement stands
	Inner                // it is bound in a scope of its own: of a function, a class, a comprehension
	Attribute            // behind a dot
	Keyword              // of an argument
)

// Name is a name in a text.
type Name struct {
	Text string
	Use  Use
}

// Outline is what a text has. The names are in the order of the text; each statement has its part of them.
type Outline struct {
	Statements []Statement
	Names      []Name
}

// Of reads a text, with newlines as \n. It says false where it does not know the text to be Python.
func Of(src string) (Outline, bool) {
	if strings.IndexByte(src, 0) >= 0 || strings.IndexByte(src, '\r') >= 0 || strings.IndexByte(src, '\f') >= 0 ||
		strings.HasPrefix(src, "\ufeff") || len(src) > maxBytes || !utf8.ValidString(src) {
		return Outline{}, false
	}
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	p := parser{lexer: lexer{src: src, lineStart: true}, names: room.names[:0], statements: room.statements[:0]}
	p.indents = append(p.indentsArray[:0], 0)
	p.next()
	p.file()
	ok := !p.failed
	var o Outline
	if ok {
		p.read(0)
		o = Outline{slices.Clone(p.statements), slices.Clone(p.names)}
		at := 0
		for i := range o.Statements {
			s := &o.Statements[i]
			n := len(s.Names)
			s.Names = o.Names[at : at+n : at+n]
			at += n
		}
	}
	clear(p.names) // so that the room holds no texts
	clear(p.statements)
	room.names, room.statements = p.names, p.statements
	return o, ok
}

// room is what names and statements are collected in, before it is known how many there are.
type room struct {
	names      []Name
	statements []Statement
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// Bounds: all are below those of Python, so that what is accepted compiles.
const (
	maxBytes   = 64 << 20
	maxDepth   = 50  // of expressions in each other
	maxChain   = 100 // of operators, or of calls, one behind the other
	shortChain = 12
	maxChains  = 10 // longer than a short one, in a statement
	maxIndents = 40
	maxBlocks  = 18 // loops, with items and parts of try statements in each other, of which Python allows 20
	maxTargets = 200
)

// parser reads statements and expressions.
type parser struct {
	lexer
	names      []Name
	statements []Statement
	scope      scope
	depth      int
	inner      int  // > 0 where names are bound in a scope of their own
	noYield    bool // in a lambda, a comprehension, an annotation
	noWalrus   bool
	rare       int // how many yields, awaits and walruses there were
	chains     int // how many long chains the statement has
	codeEnd    int // of the last simple statement
	codeRow    int
	callee     string // of the call that was read last
}

// scope is what is to be known of the function, class or module.
type scope struct {
	kind        scopeKind
	loop        bool
	yields      bool
	returns     bool // a value
	global      bool
	annotated   bool
	from        int // its first name
	blocks      int
	futureEnded bool
}

type scopeKind uint8

const (
	module scopeKind = iota
	function
	asyncFunction
	class
)

// name appends a name.
func (p *parser) name(use Use) {
	p.names = append(p.names, Name{p.src[p.start:p.end], use})
}

// bare marks a name that was read with nothing behind it, which may become a target.
const bare Use = 0x80

// binding is the use of a name that is bound here.
func (p *parser) binding() Use {
	if p.inner > 0 {
		return Inner
	}
	return Bind
}
