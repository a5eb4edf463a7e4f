package nbformat

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error says why a notebook cannot be read, in one sentence that names the place.
type Error struct {
	Offset int64 // bytes before the place
	Line   int   // from 1
	Column int   // from 1, in bytes
	Text   string
}

func (e *Error) Error() string { return e.Text }

var (
	errTooLarge = errors.New("the notebook is larger than 1 GiB: clear the outputs of its cells")
	errEmpty    = errors.New("the notebook is empty: save it again, or restore it from a checkpoint")
)

// line1 is the number of this line, from 1.
func (s *scanner) line1() int { return s.line + 1 }

// column is the next byte's place in the line, from 1.
func (s *scanner) column() int { return int(s.offset()-s.lineStart) + 1 }

// failAt makes an error of a place in this line. The text's %s, if it has one, is the place in words.
func (s *scanner) failAt(at int64, text string) error {
	line, column := s.line1(), int(at-s.lineStart)+1
	place := fmt.Sprintf("byte %d (line %d, column %d)", at, line, column)
	return &Error{Offset: at, Line: line, Column: column, Text: strings.Replace(text, "%s", place, 1)}
}

// fail says why the text cannot be read on from here, where something else was expected.
func (s *scanner) fail(expected string) error {
	at := s.offset()
	c := s.peek()
	switch {
	case s.err != nil && errors.Is(s.err, errTooLarge):
		return s.err
	case s.err != nil && s.pos == len(s.buf):
		return fmt.Errorf("read the notebook: %w", s.err)
	case s.pos == len(s.buf):
		return s.failAt(at, fmt.Sprintf("the notebook is cut off after %d bytes (line %d): "+
			"save it again, or restore it from a checkpoint", at, s.line+1))
	case c == 0:
		return s.failAt(at, "the notebook has a NUL byte at %s, so it is damaged or not a notebook: "+
			"restore it from a checkpoint")
	case c >= utf8.RuneSelf:
		if err := s.char(false); err != nil {
			return err
		}
	case at == s.lineStart && s.conflict(c):
		return s.failAt(at, fmt.Sprintf("the notebook has the marks of a merge conflict in line %d: "+
			"choose a side, for example with `git checkout --ours` or `nbdime mergetool`", s.line+1))
	}
	return s.notJSON(at, expected, c)
}

// conflict reads the seven signs that git puts before and between the sides of a conflict.
func (s *scanner) conflict(c byte) bool {
	if strings.IndexByte("<=>|", c) < 0 {
		return false
	}
	for range 7 {
		if s.peek() != c {
			return false
		}
		s.pos++
	}
	return true
}

func (s *scanner) notJSON(at int64, expected string, c byte) error {
	found := fmt.Sprintf("%q", rune(c))
	if c < ' ' {
		found = fmt.Sprintf("the control character 0x%02x", c)
	} else if c >= utf8.RuneSelf {
		found = "a character above ASCII"
	}
	return s.failAt(at, "this is not a notebook: %s is not JSON: "+expected+" is expected, not "+found)
}

func (s *scanner) brokenUTF8(at int64, c byte) error {
	return s.failAt(at, fmt.Sprintf("%%s of the notebook is not UTF-8 (0x%02x): save it again as UTF-8", c))
}

func (s *scanner) tooDeep() error {
	return s.failAt(s.offset(), fmt.Sprintf("the notebook has more than %d lists and objects in each other at %%s, "+
		"which Python's json cannot read either", MaxDepth))
}

// start passes the byte order mark and refuses other encodings that say so, and what has no text.
func (s *scanner) start() error {
	for _, mark := range []struct{ bytes, name string }{
		{"\xff\xfe\x00\x00", "UTF-32"}, {"\x00\x00\xfe\xff", "UTF-32"}, {"\xff\xfe", "UTF-16"}, {"\xfe\xff", "UTF-16"},
	} {
		if bytes.HasPrefix(s.buf, []byte(mark.bytes)) {
			return s.failAt(0, "the notebook is in "+mark.name+", as its first bytes say: save it as UTF-8")
		}
	}
	if bytes.HasPrefix(s.buf, []byte("\ufeff")) {
		s.pos, s.lineStart = 3, 3
	}
	if s.blank(); s.pos == len(s.buf) && s.err == nil {
		return errEmpty
	}
	return nil
}

// kind is what JSON calls a value that starts with a byte.
func kind(c byte) string {
	switch c {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}
