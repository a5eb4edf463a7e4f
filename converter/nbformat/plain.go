package nbformat

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of a word that a string cannot just contain: quote, backslash, control characters, and those
// above ASCII. Its lowest mark is always right: a subtraction borrows only from above a byte that is marked itself.
func special(w uint64) uint64 {
	return (w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | w
}

// unprintable marks the bytes of a word that are control characters or above ASCII; its lowest mark is always right.
func unprintable(w uint64) uint64 { return (w - ' '*ones) | w }

// block is how much of a long string is looked at in one go: the standard library finds a byte many at a time.
const block = 4096

// plain counts the bytes at the start of b that have no meaning in a string.
func plain(b []byte) int {
	i := 0
	for i+32 <= len(b) {
		v := b[i : i+32 : i+32]
		w0, w1 := binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:])
		w2, w3 := binary.LittleEndian.Uint64(v[16:]), binary.LittleEndian.Uint64(v[24:])
		m0, m1, m2, m3 := special(w0)&highs, special(w1)&highs, special(w2)&highs, special(w3)&highs
		if m0|m1|m2|m3 != 0 {
			switch {
			case m0 != 0:
				return i + bits.TrailingZeros64(m0)/8
			case m1 != 0:
				return i + 8 + bits.TrailingZeros64(m1)/8
			case m2 != 0:
				return i + 16 + bits.TrailingZeros64(m2)/8
			}
			return i + 24 + bits.TrailingZeros64(m3)/8
		}
		i += 32
		for i >= 256 && i+block <= len(b) { // of a picture
			n := block
			if quote := bytes.IndexByte(b[i:i+n], '"'); quote >= 0 {
				n = quote
			}
			if escape := bytes.IndexByte(b[i:i+n], '\\'); escape >= 0 {
				n = escape
			}
			n = printable(b[i : i+n])
			if i += n; n < block {
				return i
			}
		}
	}
	for ; i+8 <= len(b); i += 8 {
		if m := special(binary.LittleEndian.Uint64(b[i:])) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// printable counts the bytes at the start of b that are printable characters of ASCII.
func printable(b []byte) int {
	i := 0
	for ; i+64 <= len(b); i += 64 {
		v := b[i : i+64 : i+64]
		w0, w1 := binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:])
		w2, w3 := binary.LittleEndian.Uint64(v[16:]), binary.LittleEndian.Uint64(v[24:])
		w4, w5 := binary.LittleEndian.Uint64(v[32:]), binary.LittleEndian.Uint64(v[40:])
		w6, w7 := binary.LittleEndian.Uint64(v[48:]), binary.LittleEndian.Uint64(v[56:])
		if (unprintable(w0)|unprintable(w1)|unprintable(w2)|unprintable(w3)|
			unprintable(w4)|unprintable(w5)|unprintable(w6)|unprintable(w7))&highs != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// isStart says whether a word or number could start so.
func isStart(b []byte) bool {
	for _, word := range []string{"null", "true", "false", "NaN", "Infinity", "-Infinity"} {
		if strings.HasPrefix(word, string(b)) {
			return true
		}
	}
	return isNumber(append(b, '0'))
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

func isNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	whole := digits(b)
	if whole == 0 || whole > 1 && b[0] == '0' {
		return false
	}
	b = b[whole:]
	if len(b) > 0 && b[0] == '.' {
		n := digits(b[1:])
		if n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
			b = b[1:]
		}
		n := digits(b)
		return n > 0 && n == len(b)
	}
	return len(b) == 0
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

func unhex(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
