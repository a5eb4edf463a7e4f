package view

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Visible gives text that is not ours as it may be drawn: what a terminal, a browser or an eye would obey or not see
// becomes an escape as Python's repr writes it (\x1b, \u202e). That is: the control characters of C0 except line feed
// and tab, DEL, C1, bytes that are no UTF-8, controls of the writing direction, the separators of lines and paragraphs,
// and characters of no width that stand alone. "\r\n" becomes "\n".
func Visible(s string) string {
	if !needsEscape(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	before := ' '
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		rest := s[i+size:]
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
			r = ' '
		case r == '\r' && strings.HasPrefix(rest, "\n"):
		case hidden(r) && !joins(r, before, rest):
			b.WriteString(escape(r))
			r = ' '
		default:
			b.WriteRune(r)
		}
		before = r
		i += size
	}
	return b.String()
}

// OneLine is [Visible] for what must stay on its line: a line feed or a tab becomes a space.
func OneLine(s string) string { return blanks.Replace(Visible(s)) }

var blanks = strings.NewReplacer("\n", " ", "\t", " ")

// needsEscape is the quick look: most texts have nothing to escape.
func needsEscape(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return !utf8.ValidString(s[i:]) || strings.IndexFunc(s[i:], hidden) >= 0
		}
	}
	return false
}

// hidden reports whether a character is obeyed or invisible instead of seen.
func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return true
	case r < 0xad:
		return false
	}
	return unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
		noWidth)
}

// noWidth are the characters that show nothing and change nothing that is seen.
var noWidth = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, // soft hyphen
		{Lo: 0x180e, Hi: 0x180e, Stride: 1}, // Mongolian vowel separator
		{Lo: 0x200b, Hi: 0x200d, Stride: 1}, // zero-width space, non-joiner and joiner
		{Lo: 0x2060, Hi: 0x2064, Stride: 1}, // word joiner, invisible operators
		{Lo: 0x206a, Hi: 0x206f, Stride: 1}, // deprecated format characters
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
		{Lo: 0xfff9, Hi: 0xfffb, Stride: 1}, // interlinear annotation
	},
	R32:         []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}}, // tags
	LatinOffset: 1,
}

// joins reports whether a joiner or a non-joiner has something to join, as in Persian words and in emoji of several
// parts. Between letters of ASCII it only makes two names of one look.
func joins(r, before rune, rest string) bool {
	if r != 0x200c && r != 0x200d {
		return false
	}
	after, _ := utf8.DecodeRuneInString(rest)
	return before > unicode.MaxLatin1 && after > unicode.MaxLatin1 && after != utf8.RuneError && !hidden(before) &&
		!hidden(after)
}

func escape(r rune) string {
	switch {
	case r == '\r':
		return `\r`
	case r <= 0xff:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}

// VisibleJSON is JSON that says the same and has nothing in it that a terminal would obey: what is hidden stands as
// \uXXXX.
func VisibleJSON(text string) string {
	if !needsEscape(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
