package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Stream is a stream that people read: what is written to it goes through [Visible]. One Write must not end within a
// character.
type Stream struct{ To io.Writer }

// Write writes p as it may be drawn.
func (s Stream) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.To, Visible(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Log writes to a terminal what a program printed: its colours stay, every other control becomes visible, and a
// carriage return, with which progress bars write over themselves, begins a line. Close ends it.
type Log struct {
	To       io.Writer
	part     []byte // of a character or a sequence that has not come whole
	coloured bool
}

// sgr is a control sequence that sets colours and styles.
var sgr = regexp.MustCompile("^\x1b\\[([0-9;:]*)m")

// longestSGR is the most bytes of a sequence that is waited for.
const longestSGR = 64

// Write writes what has come whole.
func (l *Log) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	whole := len(l.part) - unfinished(l.part)
	text := string(l.part[:whole])
	l.part = append(l.part[:0], l.part[whole:]...)
	if _, err := io.WriteString(l.To, l.drawn(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what is left, and ends the colours of the log.
func (l *Log) Close() error {
	text := l.drawn(string(l.part))
	l.part = nil
	if l.coloured {
		text += plainText
	}
	_, err := io.WriteString(l.To, text)
	return err
}

func (l *Log) drawn(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '\x1b')
		if at < 0 {
			b.WriteString(Visible(text))
			break
		}
		b.WriteString(Visible(text[:at]))
		text = text[at:]
		if m := sgr.FindStringSubmatch(text); m != nil && len(m[0]) <= longestSGR && !conceals(m[1]) {
			b.WriteString(m[0])
			l.coloured = true
			text = text[len(m[0]):]
			continue
		}
		b.WriteString(escape('\x1b'))
		text = text[1:]
	}
	return b.String()
}

// conceals reports whether a sequence hides the text behind it (8), which is no colour. After 38, 48 and 58 stand the
// parts of one.
func conceals(parameters string) bool {
	parts := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	for i := 0; i < len(parts); i++ {
		switch n, _ := strconv.Atoi(parts[i]); n {
		case 8:
			return true
		case 38, 48, 58:
			if i+1 < len(parts) && parts[i+1] == "2" {
				i += 4
			} else {
				i += 2
			}
		}
	}
	return false
}

// unfinished gives the number of bytes at the end that may be the beginning of more: of a character, of a sequence of
// colours, of "\r\n".
func unfinished(p []byte) int {
	if n := len(p); n > 0 && p[n-1] == '\r' {
		return 1
	}
	if at := bytes.LastIndexByte(p, '\x1b'); at >= 0 && len(p)-at < longestSGR {
		tail := p[at+1:]
		if len(tail) == 0 || tail[0] == '[' && len(bytes.Trim(tail[1:], "0123456789;:")) == 0 {
			return len(p) - at
		}
	}
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			break
		}
	}
	return 0
}

// Raw gives the stream behind one that people read, for what is meant to the last byte; another stream is given back.
func Raw(w io.Writer) io.Writer {
	if s, ok := w.(Stream); ok {
		return s.To
	}
	return w
}

// PrintJSON writes v as indented JSON in which what a terminal would obey is escaped, past [Stream].
func PrintJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = fmt.Fprintln(Raw(w), VisibleJSON(strings.TrimSpace(string(data))))
	return err
}
