package outline

import (
	"strings"
	"unicode/utf8"
)

// literal reads a string whose prefix begins at start; l.pos is at its quote.
func (l *lexer) literal(start int) bool {
	raw, isBytes, formatted := false, false, false
	switch l.src[start:l.pos] {
	case "", "u", "U":
	case "r", "R":
		raw = true
	case "b", "B":
		isBytes = true
	case "f", "F":
		formatted = true
	case "br", "bR", "Br", "BR", "rb", "rB", "Rb", "RB":
		raw, isBytes = true, true
	case "fr", "fR", "Fr", "FR", "rf", "rF", "Rf", "RF":
		raw, formatted = true, true
	default:
		return false
	}
	quote := l.src[l.pos]
	triple := strings.HasPrefix(l.src[l.pos:], strings.Repeat(string(quote), 3))
	width := 1
	if triple {
		width = 3
	}
	l.pos += width
	body := l.pos
	for {
		if l.pos >= len(l.src) {
			return false
		}
		c := l.src[l.pos]
		switch {
		case c == quote && !triple, c == quote && strings.HasPrefix(l.src[l.pos:], l.src[body-3:body]):
			content := l.src[body:l.pos]
			l.pos += width
			if !valid(content, raw, isBytes) || formatted && !fields(content, quote, 0) {
				return false
			}
			l.tokens = append(l.tokens, tok{kind: text, bytes: isBytes, start: int32(start), end: int32(l.pos)})
			return true
		case c == '\\':
			l.pos++
			if l.pos < len(l.src) && l.src[l.pos] == '\n' && l.expr {
				return false
			}
		case c == '\n' && (!triple || l.expr), c == 0, c == '\r':
			return false
		}
		l.pos++
	}
}

// valid checks the escapes of a string, and that bytes are ASCII.
func valid(content string, raw, isBytes bool) bool {
	if !utf8.ValidString(content) {
		return false
	}
	if isBytes {
		for i := range len(content) {
			if content[i] >= 0x80 {
				return false
			}
		}
	}
	for rest := content; !raw; {
		i := strings.IndexByte(rest, '\\')
		if i < 0 || i+1 >= len(rest) {
			break
		}
		digits := 0
		switch rest[i+1] {
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			return false
		case 'N':
			return false
		}
		if isBytes && digits == 4 {
			digits = 0
		}
		rest = rest[i+2:]
		if len(rest) < digits {
			return false
		}
		for j := range digits {
			if c := rest[j] | 0x20; !isDigit(rest[j]) && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// fields checks the replacement fields of an f-string, or of a format in one.
func fields(content string, quote byte, nested int) bool {
	for i := 0; i < len(content); {
		switch content[i] {
		case '}':
			if nested > 0 || i+1 >= len(content) || content[i+1] != '}' {
				return false
			}
			i += 2
		case '{':
			if i+1 < len(content) && content[i+1] == '{' {
				if nested > 0 {
					return false
				}
				i += 2
				continue
			}
			n := field(content[i+1:], quote, nested)
			if n < 0 {
				return false
			}
			i += 1 + n
		default:
			i++
		}
	}
	return true
}

// field checks one, behind its brace, and gives its length with the closing one; -1 is not certain.
func field(s string, quote byte, nested int) int {
	depth, at := 0, -1
	for i := 0; i < len(s) && at < 0; i++ {
		switch c := s[i]; {
		case c == quote || c == '\\' || c == '#' || c == '\n':
			return -1 // allowed since 3.12 alone
		case c == '"' || c == '\'':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 || strings.ContainsAny(s[i+1:i+1+end], "\\\n") || strings.IndexByte(s[i+1:i+1+end], quote) >= 0 {
				return -1
			}
			i += end + 1
		case c == '(' || c == '[' || c == '{':
			depth++
		case depth > 0 && (c == ')' || c == ']' || c == '}'):
			depth--
		case depth > 0:
		case c == '!' && i+1 < len(s) && s[i+1] == '=':
			i++
		case c == '!' || c == ':' || c == '}':
			at = i
		case c == '=' && i+1 < len(s) && s[i+1] == '=':
			i++
		case c == '=' && (i == 0 || !strings.ContainsRune("<>!", rune(s[i-1]))):
			return -1 // of debugging: the rest is the same, but rarely written
		}
	}
	if at < 0 || !expression(s[:at]) {
		return -1
	}
	if s[at] == '!' {
		if at+2 >= len(s) || !strings.ContainsRune("rsa", rune(s[at+1])) || s[at+2] != '}' && s[at+2] != ':' {
			return -1
		}
		at += 2
	}
	if s[at] == '}' {
		return at + 1
	}
	if nested > 0 {
		return -1
	}
	format := s[at+1:]
	depth = 0
	for i := range len(format) {
		switch format[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				if !fields(format[:i], quote, 1) {
					return -1
				}
				return at + 1 + i + 1
			}
		case quote, '\\', '\n':
			return -1
		}
	}
	return -1
}

// expression says that a text is one expression, as an f-string may have it.
func expression(s string) bool {
	if strings.TrimSpace(s) == "" {
		return false
	}
	l := lexer{src: s, expr: true}
	if !l.run() {
		return false
	}
	p := parser{src: s, tokens: l.tokens}
	if p.is(":=") {
		return false
	}
	p.tests(true)
	return !p.failed && p.peek().kind == end
}
