package program

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hole is a name in a chance.
var hole = regexp.MustCompile(`\{(\+?)([a-z]+)\}`)

// binders are for each kind of value the statement that binds a name to one.
func binders() map[string]string {
	by := maps.Clone(simple)
	for _, c := range slices.Concat(chances, odd) {
		for _, m := range hole.FindAllStringSubmatch(c.text, -1) {
			if m[1] == "+" && by[m[2]] == "" {
				by[m[2]] = c.text
			}
		}
	}
	return by
}

// alone is a notebook of one chance and of what it needs. The function mentions all names, or those alone that were
// bound before.
func (c chance) alone(seed uint64, by map[string]string, before bool) [][]statement {
	m := &maker{random: random{r: rand.New(rand.NewPCG(seed, 3)), live: map[string]string{}}}
	cells := [][]statement{{{"import", starting}}}
	var names []string
	add := func(kind, text string) {
		name := fmt.Sprintf("v%d", len(names))
		names = append(names, name)
		m.names, m.new = names, name
		cells = append(cells, []statement{{kind, m.fill(text)}})
		m.new = ""
	}
	bound := map[string]bool{}
	var bind func(text string)
	bind = func(text string) {
		for _, h := range hole.FindAllStringSubmatch(text, -1) {
			if kind := h[2]; h[1] == "" && by[kind] != "" && !bound[kind] {
				bound[kind] = true
				bind(strings.ReplaceAll(by[kind], "{+"+kind+"}", ""))
				add("plain", by[kind])
			}
		}
	}
	bind(c.whole())
	add(c.kind, c.whole())
	var b strings.Builder
	b.WriteString("def entry():\n    out = []\n")
	for _, name := range slices.Sorted(maps.Keys(m.live)) {
		if before && name == names[len(names)-1] {
			continue
		}
		fmt.Fprintf(&b, "    out.append(%s)\n", name)
		if m.live[name] == "func" {
			fmt.Fprintf(&b, "    out.append(%s(1))\n", name)
		}
	}
	b.WriteString("    return out")
	return append(cells, []statement{{"entry", b.String()}})
}

// TestStatementsOfEachKind makes notebooks of each kind of statement alone.
func TestStatementsOfEachKind(t *testing.T) {
	by, checks := binders(), newChecker(t)
	all := slices.Concat(chances, odd)
	var notebooks [][][]statement
	for i, c := range all {
		notebooks = append(notebooks, c.alone(uint64(i), by, false), c.alone(uint64(i), by, true))
	}
	for i, one := range try(t, checks, notebooks) {
		c, mentions := all[i/2], []string{"all names", "the names of before"}[i%2]
		t.Run(c.kind+" "+c.text+" "+mentions, func(t *testing.T) {
			text := strings.Join(texts(notebooks[i])[1:], "\n# ====\n")
			switch {
			case !one.ran:
				t.Errorf("it does not run: %s %s\n%s", one.failed, one.wrong, text)
			case one.wrong != "" && !strings.HasPrefix(c.kind, pending):
				t.Errorf("%s\n%s\n=== program\n%s", one.wrong, text, one.main)
			case one.wrong == "" && strings.HasPrefix(c.kind, pending):
				t.Log("it is right, and need not be pending")
			}
		})
	}
}
