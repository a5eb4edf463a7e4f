package outline

import "unicode/utf8"

// kind is the kind of a token.
type kind uint8

const (
	end kind = iota
	newline
	indent
	dedent
	identifier
	number
	str
	open    // (
	closed  // )
	square  // [
	squared // ]
	brace   // {
	braced  // }
	comma
	colon
	semicolon
	dot
	ellipsis
	assign
	arrow
	walrus
	augmented
	at
	plus
	minus
	star
	slash
	doubleSlash
	percent
	doubleStar
	ampersand
	pipe
	caret
	tilde
	shift
	compare // < > <= >= == !=
	bang    // of a format string
	and
	as
	assert
	async
	await
	breaks
	classes
	continues
	def
	del
	elif
	els
	except
	constant // None, True, False
	finally
	fors
	from
	global
	ifs
	imports
	in
	is
	lambda
	nonlocal
	not
	or
	pass
	raise
	returns
	try
	while
	with
	yield
)

// precedence of the operators between | and *.
var precedence = [yield + 1]uint8{
	pipe: 1, caret: 2, ampersand: 3, shift: 4, plus: 5, minus: 5,
	star: 6, slash: 6, doubleSlash: 6, percent: 6, at: 6,
}

// lexer gives the tokens of a text.
type lexer struct {
	src        string
	pos        int
	tok        kind
	start, end int // of the token
	startRow   int
	row        int // where the next token is looked for
	lastEnd    int // of the token before this one
	lastRow    int

	brackets     int
	format       bool // in a field of a format string
	lineStart    bool
	dedents      int
	tabs, spaces bool // what lines are indented with
	failed       bool
	indents      []int
	indentsArray [16]int

	// of a string
	prefix      prefix
	quoteLength int
}

// prefix is what stands before a string's quotes.
type prefix uint8

const (
	raw prefix = 1 << iota
	binaryText
	formatted
)

// fail declines the text: no token follows.
func (l *lexer) fail() {
	l.failed = true
	l.tok = end
	l.pos = len(l.src)
	l.lineStart = false
	l.dedents = 0
}

const (
	letter uint8 = 1 << iota
	digit
	hex
)

// classOf says what a byte can be a part of.
var classOf = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			t[c] = digit | hex
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			t[c] = letter | hex
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= utf8.RuneSelf:
			t[c] = letter
		}
	}
	return t
}()

// next reads a token.
func (l *lexer) next() {
	l.lastEnd, l.lastRow = l.end, l.row
	if l.dedents > 0 {
		l.dedents--
		l.tok = dedent
		return
	}
	if l.lineStart && l.line() || l.failed {
		return
	}
	src, i := l.src, l.pos
	joined := false
	for {
		for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
			i++
		}
		if i >= len(src) {
			l.atEnd()
			return
		}
		switch c := src[i]; {
		case c == '\n' && l.brackets > 0:
			i++
			l.row++
			continue
		case c == '\n' && !joined:
			l.set(newline, i, i+1)
			l.row++
			l.lineStart = true
			return
		case c == '#' && !l.format && !joined:
			for i < len(src) && src[i] != '\n' {
				i++
			}
			continue
		case c == '\\' && i+2 < len(src) && src[i+1] == '\n':
			i += 2
			l.row++
			joined = true
			continue
		case classOf[c]&letter != 0:
			l.word(i)
		case classOf[c]&digit != 0, c == '.' && i+1 < len(src) && classOf[src[i+1]]&digit != 0:
			l.number(i)
		case c == '"' || c == '\'':
			l.prefix = 0
			l.string(i, i)
		default:
			l.operator(c, i)
		}
		return
	}
}

func (l *lexer) set(tok kind, start, end int) {
	l.tok, l.start, l.end, l.pos, l.startRow = tok, start, end, end, l.row
}

// atEnd gives what closes a text: the end of its last line, of its blocks, of itself.
func (l *lexer) atEnd() {
	n := len(l.src)
	switch {
	case l.format:
		l.set(end, n, n)
	case l.brackets > 0:
		l.fail()
	case !l.lineStart:
		l.set(newline, n, n)
		l.lineStart = true
	}
}

// line reads the indentation of the next line that has code, and says whether that gave a token.
func (l *lexer) line() bool {
	src, i := l.src, l.pos
	for {
		begin := i
		for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
			i++
		}
		if i < len(src) && src[i] == '#' {
			for i < len(src) && src[i] != '\n' {
				i++
			}
		}
		if i >= len(src) {
			l.pos = i
			l.set(end, i, i)
			if n := len(l.indents) - 1; n > 0 {
				l.indents = l.indents[:1]
				l.dedents = n - 1
				l.tok = dedent
			}
			return true
		}
		if src[i] == '\n' {
			i++
			l.row++
			continue
		}
		if src[i] == '\\' {
			l.fail()
			return true
		}
		l.lineStart = false
		l.pos = i
		return l.indentation(src[begin:i])
	}
}

func (l *lexer) indentation(text string) bool {
	for i := range len(text) {
		if text[i] == '\t' {
			l.tabs = true
		} else {
			l.spaces = true
		}
	}
	if l.tabs && l.spaces {
		l.fail() // which of two lines is the deeper one depends on how wide a tab is
		return true
	}
	width, top := len(text), l.indents[len(l.indents)-1]
	switch {
	case width == top:
		return false
	case width > top:
		if len(l.indents) > maxIndents {
			l.fail()
			return true
		}
		l.indents = append(l.indents, width)
		l.tok = indent
		return true
	}
	n := 0
	for width < l.indents[len(l.indents)-1] {
		l.indents = l.indents[:len(l.indents)-1]
		n++
	}
	if width != l.indents[len(l.indents)-1] {
		l.fail()
		return true
	}
	l.tok, l.dedents = dedent, n-1
	return true
}

// word reads a name, a keyword, or a string with a prefix.
func (l *lexer) word(start int) {
	src, i := l.src, start
	for i < len(src) && classOf[src[i]]&(letter|digit) != 0 {
		if src[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(src[i:])
		if !plainLetter(r) {
			l.fail()
			return
		}
		i += n
	}
	word := src[start:i]
	if i < len(src) && i-start <= 2 && (src[i] == '"' || src[i] == '\'') {
		switch word {
		case "r", "R":
			l.prefix = raw
		case "f", "F":
			l.prefix = formatted
		case "b", "B":
			l.prefix = binaryText
		case "u", "U":
			l.prefix = 0
		case "rb", "rB", "Rb", "RB", "br", "bR", "Br", "BR":
			l.prefix = raw | binaryText
		case "rf", "rF", "Rf", "RF", "fr", "fR", "Fr", "FR":
			l.prefix = raw | formatted
		default:
			l.fail()
			return
		}
		l.string(start, i)
		return
	}
	tok := identifier
	if len(word) <= 9 {
		tok = keyword(word)
	}
	if tok == identifier && word == "__debug__" {
		l.fail() // it cannot be bound
		return
	}
	l.set(tok, start, i)
}

// plainLetter says whether a character is a letter that Python takes as it is: others are made into different ones
// (https://docs.python.org/3/reference/lexical_analysis.html#identifiers), or were added to Unicode only lately.
func plainLetter(r rune) bool {
	switch {
	case r < 0xC0:
		return false
	case r <= 0x1C3: // Latin
		return r != 0xD7 && r != 0xF7 && r != 0x132 && r != 0x133 && r != 0x13F && r != 0x140 &&
			r != 0x149 && r != 0x17F
	case r >= 0x391 && r <= 0x3A9: // Greek
		return r != 0x3A2
	case r >= 0x3B1 && r <= 0x3C9:
		return true
	case r >= 0x400 && r <= 0x481 || r >= 0x48A && r <= 0x52F: // Cyrillic
		return true
	case r >= 0x3041 && r <= 0x3096 || r >= 0x30A1 && r <= 0x30FA: // Japanese
		return true
	case r >= 0x4E00 && r <= 0x9FEF || r >= 0xAC00 && r <= 0xD7A3: // Chinese, Korean
		return true
	}
	return false
}

func (l *lexer) operator(c byte, i int) {
	second, third := byte(0), byte(0)
	if i+1 < len(l.src) {
		second = l.src[i+1]
	}
	if i+2 < len(l.src) {
		third = l.src[i+2]
	}
	one := func(tok kind) { l.set(tok, i, i+1) }
	two := func(tok kind) { l.set(tok, i, i+2) }
	or := func(tok kind) { // or its augmented assignment
		if second == '=' {
			two(augmented)
			return
		}
		one(tok)
	}
	twice := func(single, double kind) {
		switch {
		case second == c && third == '=':
			l.set(augmented, i, i+3)
		case second == c:
			two(double)
		default:
			or(single)
		}
	}
	switch c {
	case '(', '[', '{':
		l.brackets++
		one(bracket(c, open, square, brace))
	case ')', ']', '}':
		l.brackets--
		one(bracket(c, closed, squared, braced))
	case ',':
		one(comma)
	case ':':
		if second == '=' {
			two(walrus)
			return
		}
		one(colon)
	case ';':
		one(semicolon)
	case '.':
		if second == '.' && third == '.' {
			l.set(ellipsis, i, i+3)
			return
		}
		one(dot)
	case '=':
		if second == '=' {
			two(compare)
			return
		}
		one(assign)
	case '-':
		if second == '>' {
			two(arrow)
			return
		}
		or(minus)
	case '+':
		or(plus)
	case '*':
		twice(star, doubleStar)
	case '/':
		twice(slash, doubleSlash)
	case '%':
		or(percent)
	case '@':
		or(at)
	case '&':
		or(ampersand)
	case '|':
		or(pipe)
	case '^':
		or(caret)
	case '~':
		one(tilde)
	case '<', '>':
		switch {
		case second == c && third == '=':
			l.set(augmented, i, i+3)
		case second == c:
			two(shift)
		case second == '=':
			two(compare)
		case c == '<' && second == '>':
			l.fail()
		default:
			one(compare)
		}
	case '!':
		switch {
		case second == '=':
			two(compare)
		case l.format && l.brackets == 1:
			one(bang)
		default:
			l.fail()
		}
	default:
		l.fail()
	}
}

// bracket gives the one of three kinds that a bracket has.
func bracket(c byte, round, edged, curly kind) kind {
	switch c {
	case '(', ')':
		return round
	case '[', ']':
		return edged
	}
	return curly
}
