package slicer

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestLongSessions slices sessions of a thousand cells that grow one thing: it would not end in time if the work grew
// with the cube of the cells.
func TestLongSessions(t *testing.T) {
	const n = 1000
	for name, make := range map[string]func(i int) string{
		"append":    func(i int) string { return fmt.Sprintf("l.append(%d)", i) },
		"rebind":    func(int) string { return "x = g(x)" },
		"maybe":     func(i int) string { return fmt.Sprintf("if x:\n    x = %d", i) },
		"new names": func(i int) string { return fmt.Sprintf("x%d = g(x)\nl.append(x%d)", i, i) },
		"redefine": func(i int) string {
			return fmt.Sprintf("def g(a):\n    l.append(a)\n    return h%d(a)\ndef h%d(a): return a", i, i)
		},
		"hold":        func(i int) string { return fmt.Sprintf("o%d = O(l)\no%d.add(l)", i, i) },
		"hold itself": func(int) string { return "l.append(l)" },
	} {
		t.Run(name, func(t *testing.T) {
			cells := []string{
				"l = []\nx = 1\ndef g(a): return a\nclass O:\n    def __init__(self, l): self.l = l\n    def " +
					"add(self, x): self.l.append(x)",
			}
			for i := range n {
				cells = append(cells, make(i))
			}
			cells = append(cells, "def f(): return l, x, g")
			if _, err := Of(context.Background(), live(strings.Join(cells, "\n---\n")), Options{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
