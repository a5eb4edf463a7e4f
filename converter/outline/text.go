package outline

import (
	"strings"
	"unicode/utf8"
)

// string reads a string literal whose quotes stand at i.
func (l *lexer) string(start, i int) {
	src := l.src
	q := src[i]
	n := 1
	if i+2 < len(src) && src[i+1] == q && src[i+2] == q {
		n = 3
	}
	content := i + n
	lines := 0
	for i = content; ; i++ {
		if i >= len(src) {
			l.fail()
			return
		}
		switch c := src[i]; {
		case c == '\\':
			i++
			if i < len(src) && src[i] == '\n' {
				lines++
			}
		case c == '\n':
			if n == 1 {
				l.fail()
				return
			}
			lines++
		case c == q && (n == 1 || i+2 < len(src) && src[i+1] == q && src[i+2] == q):
			if !escapes(src[content:i], l.prefix) {
				l.fail()
				return
			}
			l.set(str, start, i+n)
			l.quoteLength = n
			l.row += lines
			return
		}
	}
}

// escapes says whether what a string holds can be read. Unknown escapes are taken as they are.
func escapes(text string, p prefix) bool {
	if p&binaryText != 0 {
		for i := range len(text) {
			if text[i] >= utf8.RuneSelf {
				return false
			}
		}
	}
	if p&raw != 0 {
		return true
	}
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 {
			return true
		}
		c := text[i+1]
		text = text[i+2:]
		n := 0
		switch {
		case c == 'x':
			n = 2
		case p&binaryText != 0:
		case c == 'u':
			n = 4
		case c == 'U':
			n = 8
		case c == 'N', p&formatted != 0 && (c == '{' || c == '}'):
			return false // names of characters are not known here
		}
		if n > len(text) {
			return false
		}
		for j := range n {
			if classOf[text[j]]&hex == 0 {
				return false
			}
		}
		if n == 8 && text[:8] > "0010FFFF" && !strings.HasPrefix(text, "0010") {
			return false
		}
		text = text[n:]
	}
}

// strings reads literals that stand one behind the other.
func (p *parser) strings() {
	kind := p.prefix & binaryText
	for n := 0; p.tok == str; n++ {
		if p.prefix&binaryText != kind {
			p.fail()
			return
		}
		if p.prefix&formatted != 0 {
			p.fields()
		}
		p.next()
	}
}

// fields reads those of a format string as all of Python 3.9 to 3.14 do: those before 3.12 allow neither the
// string's own quotes in them, nor a backslash, nor a comment (https://peps.python.org/pep-0701/).
func (p *parser) fields() {
	text := p.src[:p.end-p.quoteLength]
	i := p.start
	for classOf[text[i]]&letter != 0 {
		i++
	}
	for i += p.quoteLength; i < len(text); i++ {
		switch text[i] {
		case '{':
			if i+1 < len(text) && text[i+1] == '{' {
				i++
				continue
			}
			if i = p.field(text, i+1, false); p.failed {
				return
			}
		case '}':
			if i+1 >= len(text) || text[i+1] != '}' {
				p.fail()
				return
			}
			i++
		}
	}
}

// field reads a field of a format string, and gives the offset of its closing brace.
func (p *parser) field(text string, i int, inner bool) int {
	outside := p.lexer
	depth := p.depth
	p.lexer = lexer{src: text, pos: i, end: i, brackets: 1, format: true}
	if inner && i < len(text) && text[i] == '{' {
		p.fail()
	}
	p.next()
	p.depth++
	if p.exprs()&isStarred != 0 {
		p.fail()
	}
	p.depth = depth
	if strings.IndexByte(text[i:max(i, p.start)], '\\') >= 0 {
		p.fail()
	}
	if p.tok == assign {
		p.next()
		if p.tok != bang && p.tok != colon && p.tok != braced {
			p.fail()
		}
	}
	if p.tok == bang {
		if p.start != p.lastEnd {
			p.fail() // Python 3.12 and later want it right behind the expression
		}
		j := p.end
		if j+1 >= len(text) || text[j] != 'r' && text[j] != 's' && text[j] != 'a' ||
			text[j+1] != ':' && text[j+1] != '}' {
			p.fail()
		}
		p.next()
		p.next()
	}
	close := p.start
	switch {
	case p.failed:
	case p.tok == braced:
	case p.tok == colon && !inner:
		close = p.specification(text, p.end)
	default:
		p.fail()
	}
	failed := p.failed
	p.lexer = outside
	if failed {
		p.fail()
	}
	return close
}

// specification reads how a value is formatted, and gives the offset of the field's closing brace.
func (p *parser) specification(text string, i int) int {
	for ; i < len(text); i++ {
		switch text[i] {
		case '{':
			if i = p.field(text, i+1, true); p.failed {
				return i
			}
		case '}':
			return i
		case '\n', '\'', '"', '\\':
			p.fail()
			return i
		}
	}
	p.fail()
	return i
}
