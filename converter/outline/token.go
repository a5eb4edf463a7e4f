package outline

// kind is the kind of a token.
type kind uint8

const (
	name kind = iota
	keyword
	number
	text // a string literal
	op
	newline
	indent
	dedent
	end
)

// tok is a token. Operators of several characters are one.
type tok struct {
	kind       kind
	bytes      bool // of a string: b"…"
	start, end int32
}

// keywords are those of all versions of Python 3; async and await are never accepted.
var keywords = map[string]bool{
	"False": true, "None": true, "True": true, "and": true, "as": true, "assert": true, "async": true, "await": true,
	"break": true, "class": true, "continue": true, "def": true, "del": true, "elif": true, "else": true,
	"except": true, "finally": true, "for": true, "from": true, "global": true, "if": true, "import": true, "in": true,
	"is": true, "lambda": true, "nonlocal": true, "not": true, "or": true, "pass": true, "raise": true, "return": true,
	"try":   true,
	"while": true, "with": true, "yield": true, "__debug__": true,
}

const (
	maxNumber = 1000 // Python refuses integers of more than 4,300 digits
	maxIndent = 15   // Python allows 20 blocks in each other
)

// lexer divides a text into tokens.
type lexer struct {
	src     string
	pos     int
	depth   int
	indents []int32
	tokens  []tok
	expr    bool // the text is an expression in an f-string: one line, and nothing is indented
}

func (l *lexer) add(k kind, start int) {
	l.tokens = append(l.tokens, tok{kind: k, start: int32(start), end: int32(l.pos)})
}

// run gives false for what is not certain.
func (l *lexer) run() bool {
	l.indents = append(l.indents[:0], 0)
	begin := !l.expr
	for {
		if begin {
			if !l.indentation() {
				return false
			}
			begin = false
		}
		for l.pos < len(l.src) && l.src[l.pos] == ' ' {
			l.pos++
		}
		if l.pos >= len(l.src) {
			break
		}
		start := l.pos
		switch c := l.src[l.pos]; {
		case isStart(c):
			if !l.word() {
				return false
			}
		case isDigit(c) || c == '.' && l.pos+1 < len(l.src) && isDigit(l.src[l.pos+1]):
			if !l.number() {
				return false
			}
		case c == '"' || c == '\'':
			if !l.literal(start) {
				return false
			}
		case c == '#' && !l.expr:
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				if l.src[l.pos] < ' ' && l.src[l.pos] != '\t' {
					return false
				}
				l.pos++
			}
		case c == '\n' && !l.expr:
			l.pos++
			if l.depth == 0 {
				l.add(newline, start)
				begin = true
			}
		case c == '\\' && l.pos+1 < len(l.src) && l.src[l.pos+1] == '\n' && !l.expr:
			if l.pos += 2; l.pos >= len(l.src) {
				return false
			}
		default:
			if !l.operator() {
				return false
			}
		}
	}
	if l.depth != 0 {
		return false
	}
	if n := len(l.tokens); n > 0 && l.tokens[n-1].kind != newline && !l.expr {
		l.add(newline, l.pos)
	}
	for range len(l.indents) - 1 {
		l.add(dedent, l.pos)
	}
	l.add(end, l.pos)
	return true
}

// indentation reads the blanks at the start of a logical line, and passes over lines without code.
func (l *lexer) indentation() bool {
	for {
		start := l.pos
		for l.pos < len(l.src) && l.src[l.pos] == ' ' {
			l.pos++
		}
		if l.pos >= len(l.src) {
			return true
		}
		switch l.src[l.pos] {
		case '\n':
			l.pos++
			continue
		case '#':
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				if l.src[l.pos] < ' ' && l.src[l.pos] != '\t' {
					return false
				}
				l.pos++
			}
			continue
		case '\t', '\f', '\r', '\\':
			return false
		}
		width := int32(l.pos - start)
		last := l.indents[len(l.indents)-1]
		switch {
		case width > last:
			if len(l.indents) > maxIndent {
				return false
			}
			l.indents = append(l.indents, width)
			l.add(indent, l.pos)
		case width < last:
			for l.indents[len(l.indents)-1] > width {
				l.indents = l.indents[:len(l.indents)-1]
				l.add(dedent, l.pos)
			}
			return l.indents[len(l.indents)-1] == width
		}
		return true
	}
}

func isStart(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// word reads a name, a keyword, or the prefix of a string.
func (l *lexer) word() bool {
	start := l.pos
	for l.pos < len(l.src) && (isStart(l.src[l.pos]) || isDigit(l.src[l.pos])) {
		l.pos++
	}
	if l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c >= 0x80: // an identifier may go on in another script
			return false
		case c == '"' || c == '\'':
			return l.literal(start)
		}
	}
	k := name
	if n := l.pos - start; n > 1 && n < 10 && keywords[l.src[start:l.pos]] {
		k = keyword
	}
	l.add(k, start)
	return true
}

// number reads a number in a form about which there is no doubt.
func (l *lexer) number() bool {
	start := l.pos
	digits := func(valid func(byte) bool) bool {
		n := 0
		for l.pos < len(l.src) {
			c := l.src[l.pos]
			if c == '_' {
				if n == 0 || l.pos+1 >= len(l.src) || !valid(l.src[l.pos+1]) {
					return false
				}
			} else if !valid(c) {
				break
			}
			l.pos++
			n++
		}
		return n > 0
	}
	c := l.src[l.pos]
	if c == '0' && l.pos+1 < len(l.src) && isStart(l.src[l.pos+1]) && l.src[l.pos+1] != '_' {
		base := l.src[l.pos+1] | 0x20
		l.pos += 2
		ok := false
		switch base {
		case 'x':
			ok = digits(func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' })
		case 'o':
			ok = digits(func(c byte) bool { return c >= '0' && c <= '7' })
		case 'b':
			ok = digits(func(c byte) bool { return c == '0' || c == '1' })
		case 'e', 'j':
			l.pos--
			ok = true
		}
		if !ok {
			return false
		}
		if base != 'e' && base != 'j' {
			return l.endNumber(start)
		}
	} else if c != '.' && !digits(isDigit) {
		return false
	}
	whole := l.src[start:l.pos]
	integer := true
	if l.pos < len(l.src) && l.src[l.pos] == '.' {
		integer = false
		l.pos++
		if l.pos < len(l.src) && isDigit(l.src[l.pos]) && !digits(isDigit) {
			return false
		}
	}
	if l.pos < len(l.src) && l.src[l.pos]|0x20 == 'e' {
		integer = false
		l.pos++
		if l.pos < len(l.src) && (l.src[l.pos] == '+' || l.src[l.pos] == '-') {
			l.pos++
		}
		if !digits(isDigit) {
			return false
		}
	}
	if l.pos < len(l.src) && l.src[l.pos]|0x20 == 'j' {
		integer = false
		l.pos++
	}
	if integer && len(whole) > 1 && whole[0] == '0' {
		return false
	}
	return l.endNumber(start)
}

func (l *lexer) endNumber(start int) bool {
	if l.pos-start > maxNumber {
		return false
	}
	if l.pos < len(l.src) {
		if c := l.src[l.pos]; isStart(c) || isDigit(c) || c == '.' || c >= 0x80 {
			return false // "1if x" is allowed in some versions
		}
	}
	l.add(number, start)
	return true
}

// operator reads one; those of no Python, and those that later versions have, are none.
func (l *lexer) operator() bool {
	start := l.pos
	rest := l.src[l.pos:]
	n := 1
	two := byte(0)
	if len(rest) > 1 {
		two = rest[1]
	}
	switch c := rest[0]; c {
	case '(', '[', '{':
		if l.depth++; l.depth > maxDepth {
			return false
		}
	case ')', ']', '}':
		if l.depth--; l.depth < 0 {
			return false
		}
	case ',', ';', '~':
	case ':':
		if two == '=' {
			n = 2
		}
	case '.':
		if len(rest) > 2 && rest[:3] == "..." {
			n = 3
		}
	case '-':
		if two == '>' || two == '=' {
			n = 2
		}
	case '+', '%', '&', '|', '^', '@', '=':
		if two == '=' {
			n = 2
		}
	case '!':
		if two != '=' {
			return false
		}
		n = 2
	case '*', '/', '<', '>':
		if two == c {
			n = 2
		}
		if c == '<' && two == '>' {
			return false
		}
		if len(rest) > n && rest[n] == '=' {
			n++
		}
	default:
		return false
	}
	l.pos += n
	l.add(op, start)
	return true
}
