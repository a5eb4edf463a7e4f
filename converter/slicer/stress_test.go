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

// TestWhatIsNestedIsBounded has code of which everything is made of itself, many times over.
func TestWhatIsNestedIsBounded(t *testing.T) {
	t.Parallel()
	each := func(n int, line func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	for name, cells := range map[string]string{
		"calls": "def g(x): return x\ny = " + strings.Repeat("g(", 300) + "1" + strings.Repeat(")", 300),
		"functions": "def g0(x): return x\n" + each(60, func(i int) string {
			return fmt.Sprintf("def g%d(x): return g%d(g%d(x))\n", i+1, i, i)
		}) + "y = g60([1])\ny.append(1)",
		"containers": "x0 = []\n" + each(200, func(i int) string {
			return fmt.Sprintf("x%d = [x%d, x%d]\n", i+1, i, i)
		}) + "x200[0].append(1)\ny = x200",
		"locals": "def g(x):\n" + strings.Repeat("    x = x + x\n    x.foo()\n", 300) + "    return x\ny = g([])",
		"estimators": "from sklearn.ensemble import BaggingClassifier\nx0 = BaggingClassifier()\n" +
			each(60, func(i int) string {
				return fmt.Sprintf("x%d = BaggingClassifier(x%d, x%d)\n", i+1, i, i)
			}) + "y = x60.fit(1)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of(t, live(cells+"\n---\ndef f(): return y"), Options{})
		})
	}
}
