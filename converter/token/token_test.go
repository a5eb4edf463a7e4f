package token

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// tokens writes the tokens of a text: names and numbers as they are, strings in <>, comments in {}, newlines as ; and
// other ones as ,.
func tokens(src string) string {
	var out []string
	for s := NewScanner(src, 0); ; {
		t, ok := s.Next()
		if !ok {
			return strings.Join(out, " ")
		}
		text := src[t.Start:t.End]
		switch t.Kind {
		case String:
			text = "<" + text + ">"
		case Comment:
			text = "{" + text + "}"
		case Newline:
			text = ";"
		case NL:
			text = ","
		case Bad:
			text = "BAD " + text
		}
		out = append(out, text)
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"x = 1\n", "x = 1 ;"},
		{"\n\nx\n", ", , x ;"},
		{"f(1,\n  2)\n", "f ( 1 , , 2 ) ;"},
		{"x \\\n  = 1", "x = 1"},
		{"x \\\r\n= 1\r\n", "x = 1 ;"},
		{"# a\nx # b\n", "{# a} , x {# b} ;"},
		{"# a\r\n", "{# a} ,"},
		{"1.5e3 0x1f 1_0j", "1.5e3 0x1f 1_0j"},
		{"naïve = 'é'", "naïve = <'é'>"},
		{"x?y", "x ? y"},
		{"a≠b", "a ≠ b"},
		{"'a' \"b\" '''c\nd''' rb'\\'' x'e'", "<'a'> <\"b\"> <'''c\nd'''> <rb'\\''> x <'e'>"},
		{"'a\nb", "BAD 'a ; b"},
		{"'''a\n", "BAD '''a\n"},
		{"'a\\\nb'", "<'a\\\nb'>"},
		{"f'{x}' f\"{d[\"k\"]}\"", "<f'{x}'> <f\"{d[\"k\"]}\">"},
		{"f'{x!r:>{w}}' + 1", "<f'{x!r:>{w}}'> + 1"},
		{"f'{{' '}'", "<f'{{'> <'}'>"},
		{"f'''{\nx\n}'''", "<f'''{\nx\n}'''>"},
		{"t'{a}' F'{b}' fR'\\{c}'", "<t'{a}'> <F'{b}'> <fR'\\{c}'>"},
		{"f'{f'{x}'}'", "<f'{f'{x}'}'>"},
		{"f'{x:'", "<f'{x:'>"},
		{"[\n# c\n]\n", "[ , {# c} , ] ;"},
		{")x\n", ") x ;"},
		{"", ""},
	} {
		t.Run(c.in, func(t *testing.T) {
			got := tokens(c.in)
			if got != c.want {
				t.Errorf("%q\n got %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

func TestFromTheMiddle(t *testing.T) {
	src := "x = '''\na\n'''\ny = 2\n"
	s := NewScanner(src, strings.Index(src, "y"))
	if tok, ok := s.Next(); !ok || src[tok.Start:tok.End] != "y" {
		t.Errorf("got %+v", tok)
	}
}

func TestKeywords(t *testing.T) {
	for word, want := range map[string]bool{
		"class": true, "None": true, "match": false, "print": false, "type": false,
		"": false,
	} {
		t.Run(fmt.Sprintf("%q", word), func(t *testing.T) {
			if IsKeyword(word) != want {
				t.Errorf("got %v", !want)
			}
		})
	}
}

func TestDeepStringsEnd(t *testing.T) {
	if got := tokens(strings.Repeat("f'{", 1000)); got == "" {
		t.Error("no tokens")
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"f'{x!r:>{w}}'", "'''", "x \\\n", "f'{'{'{\n'\\", "\\", "\r\n#\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		end := 0
		for s := NewScanner(src, 0); ; {
			tok, ok := s.Next()
			if !ok {
				return
			}
			if tok.Start < end || tok.End <= tok.Start || tok.End > len(src) {
				t.Fatalf("%q: a token from %d to %d after %d", src, tok.Start, tok.End, end)
			}
			end = tok.End
		}
	})
}

func TestWords(t *testing.T) {
	got := Words("print(f\"{größe} of {n}\")  # not me\nx = 'a-b'")
	want := map[string]bool{
		"print": true, "f": true, "größe": true, "of": true, "n": true, "x": true, "a": true, "b": true,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
