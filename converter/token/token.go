// Package token knows just enough of Python's lexical grammar to find the ends of logical lines, strings and comments
// in text that may not be Python yet (IPython cells). It is not a tokenizer for parsing; package syntax parses. Read
// [Scanner] first.
//
// It imports the standard library alone.
package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of a token.
type Kind uint8

// The kinds of token.
const (
	Name    Kind = iota // identifiers and keywords
	Number              // a number, roughly
	String              // a whole string literal with its prefix, f-strings included
	Op                  // one character of an operator or bracket
	Comment             // from # to the end of the line, without the newline
	Newline             // the newline that ends a logical line
	NL                  // any other newline: blank lines, inside brackets
	Bad                 // an unterminated string; it goes to the end of the line or of the text
)

// Token is a piece of text, by byte offsets.
type Token struct {
	Kind       Kind
	Start, End int
}

// Scanner walks over the tokens of a text from a given offset.
type Scanner struct {
	Src   string
	Pos   int
	Depth int // of open brackets
	blank bool
}

// NewScanner starts at an offset that begins a line.
func NewScanner(src string, pos int) *Scanner { return &Scanner{Src: src, Pos: pos, blank: true} }

// Next gives the next token; false at the end of the text.
func (s *Scanner) Next() (Token, bool) {
	src := s.Src
	for s.Pos < len(src) {
		c := src[s.Pos]
		start := s.Pos
		switch {
		case c == ' ' || c == '\t' || c == '\f' || c == '\r':
			s.Pos++
			continue
		case c == '\\' && s.Pos+1 < len(src) && src[s.Pos+1] == '\n':
			s.Pos += 2
			continue
		case c == '\\' && strings.HasPrefix(src[s.Pos:], "\\\r\n"):
			s.Pos += 3
			continue
		case c == '\n':
			s.Pos++
			kind := Newline
			if s.Depth > 0 || s.blank {
				kind = NL
			}
			if s.Depth == 0 {
				s.blank = true
			}
			return Token{kind, start, s.Pos}, true
		case c == '#':
			end := strings.IndexByte(src[start:], '\n')
			if end < 0 {
				end = len(src) - start
			}
			s.Pos = start + end
			for s.Pos > start && src[s.Pos-1] == '\r' {
				s.Pos--
			}
			return Token{Comment, start, s.Pos}, true
		}
		s.blank = false
		switch {
		case c == '"' || c == '\'':
			return s.str(start, ""), true
		case c >= '0' && c <= '9':
			for s.Pos < len(src) && (isWord(src[s.Pos]) || src[s.Pos] == '.') {
				s.Pos++
			}
			return Token{Number, start, s.Pos}, true
		case isWord(c):
			for s.Pos < len(src) && isWord(src[s.Pos]) {
				if src[s.Pos] >= utf8.RuneSelf {
					r, n := utf8.DecodeRuneInString(src[s.Pos:])
					if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) &&
						!unicode.Is(unicode.Mc, r) && !unicode.Is(unicode.Pc, r) {
						break
					}
					s.Pos += n
					continue
				}
				s.Pos++
			}
			if s.Pos == start { // a character that no identifier holds
				_, n := utf8.DecodeRuneInString(src[s.Pos:])
				s.Pos += n
				return Token{Op, start, s.Pos}, true
			}
			word := src[start:s.Pos]
			if s.Pos < len(src) && (src[s.Pos] == '"' || src[s.Pos] == '\'') && len(word) <= 2 && isPrefix(word) {
				return s.str(start, strings.ToLower(word)), true
			}
			return Token{Name, start, s.Pos}, true
		}
		s.Pos++
		switch c {
		case '(', '[', '{':
			s.Depth++
		case ')', ']', '}':
			if s.Depth > 0 {
				s.Depth--
			}
		}
		return Token{Op, start, s.Pos}, true
	}
	return Token{}, false
}

var keywords = map[string]bool{
	"False": true, "None": true, "True": true, "and": true, "as": true, "assert": true, "async": true, "await": true,
	"break": true, "class": true,
	"continue": true, "def": true, "del": true, "elif": true, "else": true, "except": true, "finally": true,
	"for": true, "from": true, "global": true,
	"if": true, "import": true, "in": true, "is": true, "lambda": true, "nonlocal": true, "not": true, "or": true,
	"pass": true, "raise": true,
	"return": true, "try": true, "while": true, "with": true, "yield": true,
}

// IsKeyword says that a word can never be a name.
func IsKeyword(word string) bool { return keywords[word] }

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
}

func isPrefix(word string) bool {
	switch strings.ToLower(word) {
	case "r", "b", "u", "f", "t", "rb", "br", "fr", "rf", "tr", "rt":
		return true
	}
	return false
}

// str scans a string literal whose quotes begin at s.Pos. A format string may hold expressions that hold strings with
// the same quotes.
func (s *Scanner) str(start int, prefix string) Token {
	end, ok := scanString(s.Src, s.Pos, strings.ContainsAny(prefix, "ft"), 0)
	s.Pos = end
	if !ok {
		return Token{Bad, start, end}
	}
	return Token{String, start, end}
}

// maxNesting bounds the nesting of format strings; deeper ones are taken as plain strings. Each level that has no end
// is read twice.
const maxNesting = 4

func scanString(src string, pos int, format bool, nesting int) (end int, ok bool) {
	q := src[pos]
	triple := strings.HasPrefix(src[pos:], strings.Repeat(string(q), 3))
	if triple {
		pos += 3
	} else {
		pos++
	}
	for pos < len(src) {
		c := src[pos]
		switch {
		case c == '\\':
			pos += 2
		case c == '\n' && !triple:
			return pos, false
		case c == q:
			if !triple {
				return pos + 1, true
			}
			if strings.HasPrefix(src[pos:], strings.Repeat(string(q), 3)) {
				return pos + 3, true
			}
			pos++
		case c == '{' && format && nesting < maxNesting:
			if strings.HasPrefix(src[pos:], "{{") {
				pos += 2
				continue
			}
			pos = scanField(src, pos+1, q, triple, nesting)
		default:
			pos++
		}
	}
	return len(src), false
}

// scanField scans a replacement field after its brace and gives the offset after its closing one, or of what cannot
// belong to it.
func scanField(src string, pos int, q byte, triple bool, nesting int) int {
	depth := 0
	for pos < len(src) {
		c := src[pos]
		switch {
		case c == '\n' && !triple && depth == 0:
			return pos
		case c == '"' || c == '\'':
			// Before Python 3.12 the string's own quotes end it here; if nothing else makes sense of them, let them.
			if c == q && triple && strings.HasPrefix(src[pos:], strings.Repeat(string(q), 3)) {
				return pos
			}
			p, ok := scanString(src, pos, pos > 0 && strings.ContainsRune("fFtT", rune(src[pos-1])), nesting+1)
			if !ok {
				return pos
			}
			pos = p
		case c == '(' || c == '[' || c == '{':
			depth++
			pos++
		case c == ')' || c == ']':
			depth--
			pos++
		case c == '}':
			if depth <= 0 {
				return pos + 1
			}
			depth--
			pos++
		case c == ':' && depth == 0:
			// The format specification: text, with fields of its own.
			pos++
			for pos < len(src) && src[pos] != '}' {
				if src[pos] == q || src[pos] == '\n' && !triple {
					return pos
				}
				if src[pos] == '{' && nesting < maxNesting {
					nesting++
					pos = scanField(src, pos+1, q, triple, nesting)
					continue
				}
				pos++
			}
		default:
			pos++
		}
	}
	return pos
}

// Words gives all names in a text, those inside of strings too: a format string or an annotation may have them.
func Words(code string) map[string]bool {
	words := map[string]bool{}
	sc := NewScanner(code, 0)
	for {
		tok, ok := sc.Next()
		if !ok {
			return words
		}
		if tok.Kind != Name && tok.Kind != String && tok.Kind != Bad {
			continue
		}
		for _, word := range strings.FieldsFunc(code[tok.Start:tok.End], separates) {
			words[word] = true
		}
	}
}

// separates reports whether a character cannot stand in a name. Outside of ASCII all may: too many words do no harm.
func separates(r rune) bool {
	return r != '_' && r < 0x80 && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// InString says of each line of a text whether it begins inside of a string.
func InString(src string) []bool {
	out := make([]bool, strings.Count(src, "\n")+1)
	s := NewScanner(src, 0)
	for line, last := 0, 0; ; {
		tok, ok := s.Next()
		if !ok {
			return out
		}
		line += strings.Count(src[last:tok.Start], "\n")
		last = tok.Start
		if tok.Kind != String && tok.Kind != Bad {
			continue
		}
		for i := range strings.Count(src[tok.Start:tok.End], "\n") {
			if line+i+1 < len(out) {
				out[line+i+1] = true
			}
		}
	}
}
