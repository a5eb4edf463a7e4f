package nbformat

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// mutated changes a few characters of a text.
func (g *generator) mutated(text string) string {
	runes := []rune(text)
	for range 1 + g.IntN(2) {
		at := g.IntN(len(runes) + 1)
		from := g.IntN(len(runes))
		switch g.IntN(4) {
		case 0:
			runes = append(runes[:at:at], append([]rune(pick(g, "0", "-", ".", "e", "{", "}", "[", "]", ",", ":",
				`"`, `\`, `\u`, `\ud83d`, "\x00", "\x1f", "\x7f", "NaN", "-Infinity", "null", "é", "\ufeff",
				"\u2028", " ", "\n", "\v",
				"/", "1E5", "+", "01", "-0", "1.", ".5", "true")), runes[at:]...)...)
		case 1:
			runes = append(runes[:from:from], runes[from+1:]...)
		case 2:
			runes[from] = runes[g.IntN(len(runes))]
		default:
			runes = runes[:from+1]
		}
		if len(runes) == 0 {
			return "{"
		}
	}
	return string(runes)
}

// TestJSONIsReadWherePythonReadsIt: also what is passed over must be right.
func TestJSONIsReadWherePythonReadsIt(t *testing.T) {
	texts := []string{
		`[1e999, -0, -0.0, NaN, -Infinity, 0.5E-3]`, `[01]`, `[1.]`, `[.5]`, `[+1]`, `[1e]`, `[-]`, `[nan]`, `[-NaN]`,
		`["\/\b\f"]`, `["\a"]`, `["\u12g4"]`, `["\ud800"]`, "[\"\x7f\"]", "[\"\x1f\"]", `[1,]`, `{"a":1,}`, `{,}`,
		`[,]`,
		`{"a"}`, `{1:2}`, `{"a" 1}`, "[1]\v", "\u00a0[1]", "[]]", "[}", "{]", "[1 2]", "'a'", "[1,\u20282]", "// a\n[]",
	}
	for seed := range 3000 {
		g := newGenerator(uint64(seed))
		texts = append(texts, g.mutated(g.write(g.json(3))))
	}
	for seed := range 300 {
		g := newGenerator(uint64(seed))
		texts = append(texts, g.mutated(g.write(g.notebook(4, 5))))
	}
	const script = `
import json, sys
def reads(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
json.dump([reads(text) for text in json.load(sys.stdin)], sys.stdout)`
	var reads []bool
	venv.Ask(t, venv.Python(t), []string{"-c", script}, texts, &reads)
	read := 0
	for i, text := range texts {
		if strings.HasPrefix(text, "\ufeff") {
			continue // Python refuses the mark, which editors write; we do not
		}
		if reads[i] {
			read++
		}
		if _, err := ParseValue([]byte(text)); (err == nil) != reads[i] {
			t.Errorf("%q: Python reads it: %v; we: %v", text, reads[i], err)
		}
		if err := passOver(text); (err == nil) != reads[i] {
			t.Errorf("%q: Python reads it: %v; we pass over it: %v", text, reads[i], err)
		}
	}
	t.Logf("%d texts, %d of them JSON", len(texts), read)
}

// passOver does with a text what Read does with outputs.
func passOver(text string) error {
	s, err := newScanner(strings.NewReader(text))
	if err != nil {
		return err
	}
	if err := s.skip(); err != nil {
		return err
	}
	return s.end()
}
