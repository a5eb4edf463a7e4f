package jupytext

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/nbformat"
)

// equal says whether two values are the same to Python: the order of keys and the way of writing do not count.
func equal(a, b *nbformat.Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case nbformat.Null:
		return true
	case nbformat.Bool:
		return a.Bool() == b.Bool()
	case nbformat.String:
		return a.Text() == b.Text()
	case nbformat.Number:
		return number(a.Raw()) == number(b.Raw())
	case nbformat.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i, v := range a.Items() {
			if !equal(v, b.At(i)) {
				return false
			}
		}
		return true
	default:
		n := 0
		for key, v := range a.Members() {
			if !b.Has(key) || !equal(v, b.Get(key)) {
				return false
			}
			n++
		}
		for range b.Members() {
			n--
		}
		return n == 0
	}
}

// number is a number of JSON as Python's json writes it.
func number(raw string) string {
	if strings.HasSuffix(raw, "N") || strings.HasSuffix(raw, "y") || !strings.ContainsAny(raw, ".eE") {
		if raw == "-0" {
			return "0"
		}
		return raw
	}
	f, err := strconv.ParseFloat(raw, 64)
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case err != nil:
		return raw
	}
	return pythonFloat(f)
}

// pythonFloat is repr(f).
func pythonFloat(f float64) string {
	exponent := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, e, _ := strings.Cut(exponent, "e")
	if n, _ := strconv.Atoi(e); f == 0 || n >= -4 && n < 16 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return mantissa + "e" + e
}

// dumps is json.dumps(v).
func dumps(v *nbformat.Value) string { return string(appendDumps(nil, v)) }

func appendDumps(b []byte, v *nbformat.Value) []byte {
	switch v.Kind() {
	case nbformat.String:
		return appendQuoted(b, v.Text())
	case nbformat.Number:
		return append(b, number(v.Raw())...)
	case nbformat.Array:
		b = append(b, '[')
		for i, item := range v.Items() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendDumps(b, item)
		}
		return append(b, ']')
	case nbformat.Object:
		b = append(b, '{')
		first := true
		for key, item := range v.Members() {
			if !first {
				b = append(b, ", "...)
			}
			first = false
			b = append(appendQuoted(b, key), ": "...)
			b = appendDumps(b, item)
		}
		return append(b, '}')
	default:
		return append(b, v.Raw()...)
	}
}

// appendQuoted writes a string as json.dumps does: in ASCII.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) { b = append(b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15]) }
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r >= 0x20 && r < 0x7f:
			b = append(b, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			unit(high)
			unit(low)
		default:
			unit(r)
		}
	}
	return append(b, '"')
}

// literal reads a value as jupytext does: JSON, else a literal of Python. ok is false for anything else.
func literal(text string) (v *nbformat.Value, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, false
	}
	if v, err := nbformat.ParseValue([]byte(text)); err == nil {
		return v, true
	}
	if !strings.ContainsAny(text, "'TFN(") {
		return nil, false
	}
	v, err := nbformat.ParseValue([]byte(fromPython(text)))
	return v, err == nil
}

// fromPython makes JSON of the simple literals of Python: quotes, True, False, None and tuples.
func fromPython(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'' || c == '"':
			end := i + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					return "" // Python's escapes are not JSON's
				}
				end++
			}
			if end >= len(text) {
				return ""
			}
			b.Write(appendQuoted(nil, text[i+1:end]))
			i = end + 1
		case c == '(' || c == ')':
			b.WriteByte("[]"[c-'('])
			i++
		case strings.HasPrefix(text[i:], "True"):
			b.WriteString("true")
			i += len("True")
		case strings.HasPrefix(text[i:], "False"):
			b.WriteString("false")
			i += len("False")
		case strings.HasPrefix(text[i:], "None"):
			b.WriteString("null")
			i += len("None")
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}
