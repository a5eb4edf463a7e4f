package nbformat

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decoded is the last string that was read, until the next is.
func (s *scanner) decoded() []byte {
	if !s.escaped {
		return s.text
	}
	text, _ := unescape(string(s.text))
	return []byte(text)
}

// unescape gives the text of a string's inside as it was written. Half of a surrogate pair, which is no character,
// becomes the three bytes that UTF-8 would have for it (WTF-8): so nothing is lost, and lone says that it was there.
func unescape(raw string) (text string, lone bool) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, false
	}
	b, lone := appendUnescaped(make([]byte, 0, len(raw)), []byte(raw))
	return string(b), lone
}

// appendUnescaped is [unescape] for what is collected.
func appendUnescaped(b, raw []byte) (text []byte, lone bool) {
	for i := bytes.IndexByte(raw, '\\'); i >= 0; i = bytes.IndexByte(raw, '\\') {
		b = append(b, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r := hex4(raw)
			raw = raw[4:]
			if utf16.IsSurrogate(r) && len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(raw[2:])); pair != utf8.RuneError {
					r, raw = pair, raw[6:]
				}
			}
			if utf16.IsSurrogate(r) {
				lone = true
				b = append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			} else {
				b = utf8.AppendRune(b, r)
			}
		default: // quote, backslash, slash
			b = append(b, c)
		}
	}
	return append(b, raw...), lone
}

func hex4[T string | []byte](raw T) rune {
	return unhex(raw[0])<<12 | unhex(raw[1])<<8 | unhex(raw[2])<<4 | unhex(raw[3])
}

// surrogate gives half of a surrogate pair in WTF-8 at the start of s; 0 where there is none.
func surrogate(s string) rune {
	if len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] < 0xc0 && s[2] >= 0x80 && s[2] < 0xc0 {
		return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f)
	}
	return 0
}

// appendQuoted writes a string as Python's json.dumps: with ascii, as it does by default, all above ASCII is escaped,
// else only what has to be. Half of a surrogate pair is always escaped, since UTF-8 has no bytes for it. Bytes that are
// not UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string, ascii bool) []byte {
	const hex = "0123456789abcdef"
	unicode := func(r rune) {
		b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	}
	b = append(b, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\' {
			n++
		}
		b = append(b, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		switch c := s[0]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c < ' ' || c == 0x7f && ascii:
			unicode(rune(c))
		case c == 0x7f:
			b = append(b, c)
		default:
			if r := surrogate(s); r != 0 {
				unicode(r)
				s = s[3:]
				continue
			}
			r, size := utf8.DecodeRuneInString(s)
			switch {
			case !ascii:
				b = utf8.AppendRune(b, r)
			case r > 0xffff:
				high, low := utf16.EncodeRune(r)
				unicode(high)
				unicode(low)
			default:
				unicode(r)
			}
			s = s[size:]
			continue
		}
		s = s[1:]
	}
	return append(b, '"')
}

// splitLines splits as Python's str.splitlines: behind \n, \r\n and \r, and behind the further characters that Python
// takes for ends of lines. keep leaves the ends at their lines.
func splitLines(s string, keep bool) []string {
	var lines []string
	for start := 0; start < len(s); {
		end, width := lineEnd(s, start)
		if width == 0 {
			return append(lines, s[start:])
		}
		if keep {
			lines = append(lines, s[start:end+width])
		} else {
			lines = append(lines, s[start:end])
		}
		start = end + width
	}
	return lines
}

// lineEnd finds the end of the line that starts at start: where it is and how many bytes it has; 0 where there is none.
func lineEnd(s string, start int) (at, width int) {
	for i := start; i < len(s); i++ {
		switch c := s[i]; c {
		case '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				return i, 2
			}
			return i, 1
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e:
			return i, 1
		case 0xc2: // U+0085
			if i+1 < len(s) && s[i+1] == 0x85 {
				return i, 2
			}
		case 0xe2: // U+2028, U+2029
			if i+2 < len(s) && s[i+1] == 0x80 && (s[i+2] == 0xa8 || s[i+2] == 0xa9) {
				return i, 3
			}
		}
	}
	return len(s), 0
}

// joinLines joins what a notebook of a version wrote as a list of lines. Version 2 left the ends of the lines out, and
// version 3 knows both ways.
func joinLines(parts []string, version int) string {
	if areApart(parts, version) {
		return strings.Join(parts, "\n")
	}
	return strings.Join(parts, "")
}

// areApart says whether each of these is a line without its end.
func areApart(parts []string, version int) bool {
	return version == 2 || version == 3 && (len(parts) == 0 || !strings.HasSuffix(parts[0], "\n") &&
		!strings.HasSuffix(parts[0], "\r"))
}

// heading is a heading cell as Markdown, which knows six levels.
func heading(level int, text string) string {
	return strings.Repeat("#", min(max(level, 1), 6)) + " " + strings.Join(splitLines(text, false), " ")
}
