package nbformat

import (
	"strings"
	"unicode/utf8"
)

// parse reads the whole text as one value.
func parse(data []byte) (text string, root *Value, from, to int, err error) {
	if len(data) > MaxSize {
		return "", nil, 0, 0, errTooLarge
	}
	s := &scanner{buf: data}
	if err := s.start(); err != nil {
		return "", nil, 0, 0, err
	}
	p := parser{scanner: s, all: string(data)}
	from = s.pos
	root, err = p.value()
	if err != nil {
		return "", nil, 0, 0, err
	}
	to = s.pos
	return p.all, root, from, to, s.end()
}

// ParseValue reads JSON as Python's json does, NaN and Infinity included.
func ParseValue(data []byte) (*Value, error) {
	_, v, _, _, err := parse(data)
	return v, err
}

// parser makes values of what its scanner goes over. All strings are parts of all.
type parser struct {
	*scanner
	all string
}

func (p *parser) value() (*Value, error) {
	start := p.pos
	var err error
	v := &Value{}
	switch c := p.blank(); c {
	case '{', '[':
		v.kind, v.laid = Array, true
		if c == '{' {
			v.kind = Object
		}
		return v, p.elements(v, c)
	case '"':
		v.kind = String
		err = p.str(false)
	case 't', 'f':
		v.kind = Bool
		err = p.scalar()
	case 'n':
		err = p.scalar()
	default:
		v.kind = Number
		err = p.scalar()
	}
	v.text = p.all[start:p.pos]
	return v, err
}

func (p *parser) elements(v *Value, c byte) error {
	if err := p.enter(c); err != nil {
		return err
	}
	start := p.pos
	if p.blank() == c+2 {
		v.tail = p.all[start:p.pos]
		p.leave()
		return nil
	}
	for {
		e := element{before: p.all[start:p.pos], laid: true}
		if c == '{' {
			start = p.pos
			if p.blank() != '"' {
				return p.fail("a key in quotes")
			}
			if err := p.str(false); err != nil {
				return err
			}
			e.key = p.all[start:p.pos]
			e.name, _ = unescape(e.key[1 : len(e.key)-1])
			start = p.pos
			if p.blank() != ':' {
				return p.fail("a colon")
			}
			p.pos++
			p.blank()
			e.colon = p.all[start:p.pos]
		}
		var err error
		if e.value, err = p.value(); err != nil {
			return err
		}
		start = p.pos
		switch p.blank() {
		case ',':
			e.after = p.all[start:p.pos]
			v.elements = append(v.elements, e)
			p.pos++
			start = p.pos
			p.blank()
		case c + 2:
			v.elements = append(v.elements, e)
			v.tail = p.all[start:p.pos]
			p.leave()
			return nil
		default:
			if c == '{' {
				return p.fail("a comma or }")
			}
			return p.fail("a comma or ]")
		}
	}
}

// layout is how a document is written where nothing was written before.
type layout struct {
	indent  string // of one level
	newline string // "" where all is in one line
	colon   string
	comma   string // behind a comma, where all is in one line
	ascii   bool   // what is above ASCII is escaped
}

// jupyter is the layout that Jupyter writes.
var jupyter = layout{indent: " ", newline: "\n", colon: ": "}

// layoutOf finds the layout of a text by its root.
func layoutOf(text string, root *Value) layout {
	l := jupyter
	l.ascii = escapesAll(text)
	if root.Len() == 0 {
		return l
	}
	first := root.elements[0]
	if first.colon != "" {
		l.colon = first.colon
	}
	if i := strings.LastIndexByte(first.before, '\n'); i >= 0 {
		l.indent = first.before[i+1:]
		if i > 0 && first.before[i-1] == '\r' {
			l.newline = "\r\n"
		}
		return l
	}
	l.newline = ""
	if root.Len() > 1 {
		l.comma = root.elements[1].before
	}
	return l
}

// escapesAll says whether a text has characters above ASCII and all of them are escaped.
func escapesAll(text string) bool {
	escaped := false
	for rest := text; !escaped; {
		i := strings.Index(rest, `\u`)
		if i < 0 {
			return false
		}
		rest = rest[i+2:]
		escaped = len(rest) >= 4 && hex4(rest) >= utf8.RuneSelf
	}
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// line starts a line at a depth.
func (l *layout) line(b []byte, depth int) []byte {
	if l.newline == "" {
		return b
	}
	b = append(b, l.newline...)
	for range depth {
		b = append(b, l.indent...)
	}
	return b
}

// append writes a value as it was written, and what is new as the rest of the document is.
func (l *layout) append(b []byte, v *Value, depth int) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	var open, shut byte = '[', ']'
	switch v.kind {
	case Object:
		open, shut = '{', '}'
	case Array:
	default:
		if l.ascii && v.kind == String && !isASCII(v.text) {
			text, _ := v.wtf8()
			return appendQuoted(b, text, true)
		}
		return append(b, v.text...)
	}
	b = append(b, open)
	for i := range v.elements {
		e := &v.elements[i]
		model := e
		if !e.laid {
			model = v.model(i)
		}
		switch {
		case model == nil:
			if i > 0 && l.newline == "" {
				b = append(b, l.comma...)
			}
			b = l.line(b, depth+1)
		case i > 0 && model == &v.elements[0] && !strings.Contains(model.before, "\n"):
			// The first stands in the line of its bracket, with no comma before it to learn from.
			if l.newline == "" {
				b = append(b, l.comma...)
			} else {
				b = append(b, ' ')
			}
		default:
			b = append(b, model.before...)
		}
		if v.kind == Object {
			key, colon := e.key, l.colon
			if model != nil {
				colon = model.colon
			}
			if l.ascii && !isASCII(key) {
				b = appendQuoted(b, e.name, true)
			} else {
				b = append(b, key...)
			}
			b = append(b, colon...)
		}
		b = l.append(b, e.value, depth+1)
		b = append(b, e.after...)
		if i < len(v.elements)-1 {
			b = append(b, ',')
		}
	}
	switch {
	case v.laid:
		b = append(b, v.tail...)
	case len(v.elements) > 0:
		b = l.line(b, depth)
	}
	return append(b, shut)
}

// model is the element that a new one at the place i is laid out by: the nearest before it, else behind it, that has
// its layout from the text; nil where there is none.
func (v *Value) model(i int) *element {
	for j := i; j >= 0; j-- {
		if v.elements[j].laid {
			return &v.elements[j]
		}
	}
	for j := i; j < len(v.elements); j++ {
		if v.elements[j].laid {
			return &v.elements[j]
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
