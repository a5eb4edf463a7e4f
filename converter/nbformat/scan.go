package nbformat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"unicode/utf8"
)

const (
	// MaxSize bounds a notebook, in bytes.
	MaxSize = 1 << 30
	// MaxDepth bounds how deep lists and objects stand in each other. Python's json gives up at its recursion limit,
	// which leaves it about as many.
	MaxDepth = 990
	// maxScalar bounds a number, in digits: it is held even where it is passed over.
	maxScalar = 64 << 10
	chunk     = 128 << 10
)

// scanner goes over JSON as Python's json module reads it, NaN and Infinity included, and checks all of it: also what
// is passed over must be JSON in UTF-8. It holds one chunk of the input, and the string or number that it is asked for.
type scanner struct {
	r     io.Reader // nil when all is in buf
	ahead *ahead    // reads r in place of the scanner; nil where nothing does
	room  []byte    // where chunks are read into
	buf   []byte    // the chunk; buf[pos:] is not read yet
	pos   int
	base  int64 // the offset of buf[0] in the input
	err   error // of the reader

	line      int   // newlines before; strings have none
	lineStart int64 // the offset of the line's first byte
	nest      []byte
	text      []byte // the last string, without quotes and as it was written, or the last number or word
	escaped   bool   // text has backslashes
}

// newScanner starts behind a byte order mark of UTF-8, which Windows' editors write.
func newScanner(r io.Reader) (*scanner, error) {
	s := &scanner{r: r, room: make([]byte, chunk)}
	n, err := io.ReadAtLeast(r, s.room, 4)
	s.buf = s.room[:n]
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.r = nil
	default:
		s.err = err
	}
	return s, s.start()
}

// fill reads the next chunk after all of the last was read. It says whether there is one.
func (s *scanner) fill() bool {
	if s.r == nil || s.err != nil {
		return false
	}
	s.base += int64(len(s.buf))
	last := s.buf
	s.buf, s.pos = nil, 0
	if s.base > MaxSize {
		s.err = errTooLarge
		return false
	}
	for range 100 {
		data, err := s.read(last)
		if errors.Is(err, io.EOF) {
			s.r = nil
		} else if err != nil {
			s.err = err
		}
		if last = data; len(data) > 0 {
			s.buf = data
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// read gives the next chunk, in place of the last one.
func (s *scanner) read(last []byte) ([]byte, error) {
	if s.ahead != nil {
		return s.ahead.next(last)
	}
	n, err := s.r.Read(s.room)
	return s.room[:n], err
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// peek gives the next byte; 0 at the end.
func (s *scanner) peek() byte {
	if s.pos == len(s.buf) && !s.fill() {
		return 0
	}
	return s.buf[s.pos]
}

// blank passes blanks and gives the byte behind them, which is not read yet; 0 at the end.
func (s *scanner) blank() byte {
	for {
		buf, i := s.buf, s.pos
		for i < len(buf) && (buf[i] == ' ' || buf[i] == '\n' || buf[i] == '\t' || buf[i] == '\r') {
			if buf[i] == '\n' {
				s.line++
				s.lineStart = s.base + int64(i) + 1
			}
			i++
			for i+8 <= len(buf) {
				rest := binary.LittleEndian.Uint64(buf[i:]) ^ ' '*ones
				if rest != 0 {
					i += bits.TrailingZeros64(rest) / 8
					break
				}
				i += 8
			}
		}
		s.pos = i
		if i < len(buf) {
			return buf[i]
		}
		if !s.fill() {
			return 0
		}
	}
}

// pass passes the string that starts here as long as it is simple: in this chunk, of ASCII. It says whether it was all.
func (s *scanner) pass() bool {
	buf, i := s.buf, s.pos
	for {
		i += plain(buf[i:])
		s.pos = i
		if i+1 >= len(buf) {
			return false
		}
		switch buf[i] {
		case '"':
			s.pos++
			return true
		case '\\':
			switch buf[i+1] {
			case 'n', '"', '\\', '/', 'b', 'f', 'r', 't':
				if i += 2; i < len(buf) && buf[i] == '"' { // of a line that ends
					s.pos = i + 1
					return true
				}
				continue
			}
		}
		return false
	}
}

// str reads the string that starts here, into text if it is to be held.
func (s *scanner) str(hold bool) error {
	s.pos++
	if !hold && s.pass() {
		return nil
	}
	s.text, s.escaped = s.text[:0], false
	for {
		n := plain(s.buf[s.pos:])
		if hold {
			s.text = append(s.text, s.buf[s.pos:s.pos+n]...)
		}
		s.pos += n
		if s.pos == len(s.buf) {
			if !s.fill() {
				return s.fail("")
			}
			continue
		}
		var err error
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			err = s.escape(hold)
		case c < ' ':
			err = s.fail("the end of a string")
		default:
			err = s.runes(hold)
		}
		if err != nil {
			return err
		}
	}
}

// take reads one byte of a string.
func (s *scanner) take(hold bool) {
	if hold {
		s.text = append(s.text, s.buf[s.pos])
	}
	s.pos++
}

func (s *scanner) escape(hold bool) error {
	s.escaped = true
	s.take(hold)
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.take(hold)
		return nil
	case 'u':
		s.take(hold)
		for range 4 {
			if c := s.peek(); unhex(c) < 0 {
				return s.fail("a hexadecimal digit")
			}
			s.take(hold)
		}
		return nil
	}
	return s.fail(`an escape that JSON knows (\n, \", \\, \u0000)`)
}

// runes reads characters above ASCII.
func (s *scanner) runes(hold bool) error {
	for s.pos < len(s.buf) && s.buf[s.pos] >= utf8.RuneSelf {
		if err := s.char(hold); err != nil {
			return err
		}
	}
	return nil
}

// char reads one character above ASCII.
func (s *scanner) char(hold bool) error {
	if rest := s.buf[s.pos:]; utf8.FullRune(rest) {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			return s.brokenUTF8(s.offset(), rest[0])
		}
		if hold {
			s.text = append(s.text, rest[:n]...)
		}
		s.pos += n
		return nil
	}
	// Its bytes are in two chunks.
	var seq [utf8.UTFMax]byte
	at, n := s.offset(), 0
	for n == 0 || !utf8.FullRune(seq[:n]) {
		if s.pos == len(s.buf) && !s.fill() {
			return s.fail("")
		}
		seq[n] = s.buf[s.pos]
		n++
		s.pos++
	}
	if _, size := utf8.DecodeRune(seq[:n]); size != n {
		return s.brokenUTF8(at, seq[0])
	}
	if hold {
		s.text = append(s.text, seq[:n]...)
	}
	return nil
}

// scalar reads a number, true, false or null into text.
func (s *scanner) scalar() error {
	s.text = s.text[:0]
	at := s.offset()
	for {
		buf, i := s.buf, s.pos
		for i < len(buf) && isWord(buf[i]) {
			i++
		}
		s.text = append(s.text, buf[s.pos:i]...)
		s.pos = i
		if len(s.text) > maxScalar {
			return s.failAt(at, "a number or word is longer than 65,536 characters; this is no notebook of Jupyter")
		}
		if i < len(buf) || !s.fill() {
			break
		}
	}
	switch string(s.text) {
	case "null", "true", "false", "NaN", "Infinity", "-Infinity":
		return nil
	case "":
		return s.fail("a value")
	}
	if !isNumber(s.text) {
		if s.pos == len(s.buf) && (isStart(s.text) || s.err != nil) {
			return s.fail("")
		}
		return s.notJSON(at, "a value", s.text[0])
	}
	return nil
}

// enter reads the bracket that opens a list or an object.
func (s *scanner) enter(c byte) error {
	if len(s.nest) == MaxDepth {
		return s.tooDeep()
	}
	s.nest = append(s.nest, c)
	s.pos++
	return nil
}

// leave reads the bracket that closes what was entered last.
func (s *scanner) leave() {
	s.nest = s.nest[:len(s.nest)-1]
	s.pos++
}

// skip passes over a value.
func (s *scanner) skip() error {
	outer := len(s.nest)
value:
	for {
		switch c := s.blank(); c {
		case '{', '[':
			if err := s.enter(c); err != nil {
				return err
			}
			if s.blank() != c+2 { // ']' and '}' are two behind their partners
				if c == '{' {
					if err := s.key(false); err != nil {
						return err
					}
				}
				continue
			}
			s.leave()
		case '"':
			if err := s.str(false); err != nil {
				return err
			}
			// Lists of lines are most of what is passed over.
			var between gap
			for len(s.nest) > outer && s.nest[len(s.nest)-1] == '[' && s.pos < len(s.buf) && s.buf[s.pos] == ',' {
				if !between.pass(s) {
					from, base := s.pos, s.base
					s.pos++
					if s.blank() != '"' {
						continue value
					}
					if base == s.base {
						between.set(s.buf[from : s.pos+1])
					}
				}
				if err := s.str(false); err != nil {
					return err
				}
			}
		default:
			if err := s.scalar(); err != nil {
				return err
			}
		}
		for {
			if len(s.nest) == outer {
				return nil
			}
			more, err := s.more()
			if err != nil {
				return err
			}
			if more {
				break
			}
		}
	}
}

// gap is what stands between two lines of a list, mostly the same from line to line: a comma, blanks and a quote.
type gap struct {
	text   [32]byte
	length int
	lines  int // newlines in it
	behind int // the last one
}

func (g *gap) set(text []byte) {
	if g.length = 0; len(text) > len(g.text) {
		return
	}
	g.length = copy(g.text[:], text)
	g.lines, g.behind = bytes.Count(text, newline), bytes.LastIndexByte(text, '\n')+1
}

var newline = []byte{'\n'}

// pass passes the same gap once more up to its quote, if it is there.
func (g *gap) pass(s *scanner) bool {
	if g.length == 0 || !bytes.HasPrefix(s.buf[s.pos:], g.text[:g.length]) {
		return false
	}
	if g.lines > 0 {
		s.line += g.lines
		s.lineStart = s.base + int64(s.pos+g.behind)
	}
	s.pos += g.length - 1
	return true
}

// more reads what stands behind an element: a comma and, in an object, the next key, or the bracket that closes.
func (s *scanner) more() (bool, error) {
	open := s.nest[len(s.nest)-1]
	switch c := s.blank(); c {
	case ',':
		s.pos++
		if open == '{' {
			s.blank()
			return true, s.key(true)
		}
		return true, nil
	case open + 2:
		s.leave()
		return false, nil
	}
	if open == '{' {
		return false, s.fail("a comma or }")
	}
	return false, s.fail("a comma or ]")
}

// key reads a key and its colon.
func (s *scanner) key(hold bool) error {
	if s.blank() != '"' {
		return s.fail("a key in quotes")
	}
	if err := s.str(hold); err != nil {
		return err
	}
	if s.blank() != ':' {
		return s.fail("a colon")
	}
	s.pos++
	return nil
}

// object reads an object: f reads the value of each key, which is only there until it does.
func (s *scanner) object(f func(key []byte) error) error {
	if err := s.enter('{'); err != nil {
		return err
	}
	if s.blank() == '}' {
		s.leave()
		return nil
	}
	err := s.key(true)
	for more := true; more && err == nil; {
		if err = f(s.decoded()); err == nil {
			more, err = s.more()
		}
	}
	return err
}

// array reads a list: f reads each element, of which i were before.
func (s *scanner) array(f func(i int) error) error {
	if err := s.enter('['); err != nil {
		return err
	}
	if s.blank() == ']' {
		s.leave()
		return nil
	}
	var err error
	for i, more := 0, true; more && err == nil; i++ {
		if err = f(i); err == nil {
			more, err = s.more()
		}
	}
	return err
}

// end makes sure that nothing follows the value.
func (s *scanner) end() error {
	s.blank()
	if s.pos < len(s.buf) || s.err != nil {
		return s.fail("the end of the file")
	}
	return nil
}
