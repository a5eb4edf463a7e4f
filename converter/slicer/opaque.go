package slicer

import (
	"strings"
	"unicode"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
)

// opaque makes a statement of the rest of a cell that the parser could not read.
func opaque(c *cell, n *syntax.Node) *stmt {
	src := c.tree.Src
	start := strings.LastIndexByte(src[:n.Start], '\n') + 1
	text := strings.TrimRight(src[start:], " \t\r\n")
	e := &effects{names: map[string]bool{}}
	sc := token.NewScanner(src, start)
	line, last := 1+strings.Count(src[:start], "\n"), start
	dot := false
	for {
		tok, ok := sc.Next()
		if !ok {
			break
		}
		line += strings.Count(src[last:tok.Start], "\n")
		last = tok.Start
		word := src[tok.Start:tok.End]
		if tok.Kind == token.Name && !token.IsKeyword(word) {
			if dot {
				e.names["."+word] = true
			} else if !e.names[word] {
				e.names[word] = true
				e.uses = append(e.uses, use{name: word, line: line, soft: true})
				if !builtins.has(word) {
					e.binds = append(e.binds, bind{name: word, line: line})
					e.changes = append(e.changes, ref{name: word})
				}
			}
		}
		if tok.Kind == token.String && strings.ContainsAny(strings.ToLower(word[:strings.IndexAny(word, `"'`)]), "ft") {
			for _, f := range strings.FieldsFunc(word, func(r rune) bool {
				return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
			}) {
				e.uses = append(e.uses, use{name: f, line: line, soft: true})
			}
		}
		dot = tok.Kind == token.Op && word == "."
	}
	first := strings.Count(src[:start], "\n") + 1
	return &stmt{cell: c, text: text, line: first, endLine: first + strings.Count(text, "\n"), e: e}
}
