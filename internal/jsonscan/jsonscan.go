// Package jsonscan goes through JSON of a known shape, such as the lines of an event file, several times faster than
// encoding/json does. It decides about nothing: where it does not find what was expected, its caller has encoding/json
// read the text.
//
// Read [Scanner]. It imports the standard library alone.
package jsonscan

import (
	"bytes"
	"math"
	"strconv"
)

// Scanner is a place in a text. Its functions report whether they found what they are for, and move past it only then.
type Scanner struct{ rest []byte }

// New begins at the start of a text, parts of which it gives out.
func New(text []byte) *Scanner { return &Scanner{text} }

// AtEnd reports whether there is nothing left.
func (s *Scanner) AtEnd() bool { return len(s.rest) == 0 }

// Skip moves past one character.
func (s *Scanner) Skip(c byte) bool {
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// Plain reads a string that stands for itself: ASCII without escapes.
func (s *Scanner) Plain() ([]byte, bool) {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return nil, false
	}
	for i, c := range s.rest[1:] {
		switch {
		case c == '"':
			text := s.rest[1 : 1+i]
			s.rest = s.rest[i+2:]
			return text, true
		case c == '\\' || c < ' ' || c > '~':
			return nil, false
		}
	}
	return nil, false
}

// Number gives the digits, signs and letters of a number as far as they are one in JSON, or nothing.
func (s *Scanner) Number() []byte {
	i := 0
	at := func() byte {
		if i < len(s.rest) {
			return s.rest[i]
		}
		return 0
	}
	digits := func() bool {
		begin := i
		for c := at(); '0' <= c && c <= '9'; c = at() {
			i++
		}
		return i > begin
	}
	if at() == '-' {
		i++
	}
	if at() == '0' {
		i++
	} else if !digits() {
		return nil
	}
	if at() == '.' {
		i++
		if !digits() {
			return nil
		}
	}
	if c := at(); c == 'e' || c == 'E' {
		i++
		if c := at(); c == '+' || c == '-' {
			i++
		}
		if !digits() {
			return nil
		}
	}
	text := s.rest[:i]
	s.rest = s.rest[i:]
	return text
}

// Float reads a number that is within the type.
func (s *Scanner) Float(into *float64) bool {
	text := s.Number()
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(v, 0) {
		return false
	}
	*into = v
	return true
}

// Value gives the text of whatever comes, up to the comma or bracket after it, without blanks around it. It does not
// check it.
func (s *Scanner) Value() ([]byte, bool) {
	if len(s.rest) == 0 || s.rest[0] <= ' ' {
		return nil, false
	}
	depth := 0
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			end := closing(s.rest[i+1:])
			if end < 0 {
				return nil, false
			}
			i += 1 + end
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',':
			if depth > 0 {
				continue
			}
			depth--
		default:
			continue
		}
		switch {
		case depth < 0: // before the bracket or comma that ends what holds it
			if i == 0 || s.rest[i-1] <= ' ' {
				return nil, false
			}
			text := s.rest[:i]
			s.rest = s.rest[i:]
			return text, true
		case depth == 0:
			text := s.rest[:i+1]
			s.rest = s.rest[i+1:]
			return text, true
		}
	}
	return nil, false
}

// closing finds the quote that ends a string.
func closing(text []byte) int {
	for i := 0; ; i++ {
		next := bytes.IndexAny(text[min(i, len(text)):], `"\`)
		if next < 0 {
			return -1
		}
		if i += next; text[i] == '"' {
			return i
		}
		i++ // what is escaped
	}
}
