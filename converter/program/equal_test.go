package program

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slicer"
)

// random writes a small notebook of plain Python by chance: few names, many ways to bind, change, alias and read them.
type random struct {
	r     *rand.Rand
	names []string
	live  map[string]string // name → kind: list, dict, int, obj, func, cls
}

func (g *random) pick(kinds ...string) string {
	var out []string
	for _, n := range g.names {
		for _, k := range kinds {
			if g.live[n] == k {
				out = append(out, n)
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return out[g.r.IntN(len(out))]
}

func (g *random) name() string { return g.names[g.r.IntN(len(g.names))] }

func (g *random) bind(kind string) string {
	n := g.name()
	g.live[n] = kind
	return n
}

func (g *random) statement() string {
	k := g.r.IntN(100)
	l, d, i, o, f, c := g.pick("list"), g.pick("dict"), g.pick("int"), g.pick("obj"), g.pick("func"), g.pick("cls")
	m := g.r.IntN(50)
	switch g.r.IntN(30) {
	case 0, 1:
		return fmt.Sprintf("%s = %d", g.bind("int"), k)
	case 2, 3:
		return fmt.Sprintf("%s = [%d]", g.bind("list"), k)
	case 4:
		return fmt.Sprintf("%s = {'a': %d}", g.bind("dict"), k)
	case 5:
		if l != "" {
			return fmt.Sprintf("%s.append(%d)", l, k)
		}
	case 6:
		if d != "" {
			return fmt.Sprintf("%s['k%d'] = %d", d, m%3, k)
		}
	case 7:
		if i != "" {
			return fmt.Sprintf("%s += %d", i, k)
		}
	case 8:
		if l != "" && i != "" {
			return fmt.Sprintf("%s.append(%s)", l, i)
		}
	case 9:
		if l != "" && d != "" {
			return fmt.Sprintf("%s['l'] = %s", d, l)
		}
	case 10:
		if l != "" {
			return fmt.Sprintf("%s = %s", g.bind("list"), l)
		}
	case 11:
		if i != "" {
			j := i
			n := g.bind("int")
			return fmt.Sprintf("%s = %s * 2 + %d", n, j, k)
		}
	case 12:
		if l != "" {
			return fmt.Sprintf("for q%d in range(3):\n    %s.append(q%d)", m%2, l, m%2)
		}
	case 13:
		if i != "" {
			j := i
			n := g.bind("func")
			if n != j {
				return fmt.Sprintf("def %s(x=0):\n    return x + %s if isinstance(%s, int) else x", n, j, j)
			}
			return fmt.Sprintf("def %s(x=0):\n    return x", n)
		}
	case 14:
		if f != "" {
			n := f
			t := g.bind("int")
			return fmt.Sprintf("%s = %s(%d)", t, n, k)
		}
	case 15:
		if l != "" {
			n := g.bind("func")
			if n == l {
				return fmt.Sprintf("def %s(x=0): return 1", n)
			}
			return fmt.Sprintf("def %s(x=0):\n    if isinstance(%s, list):\n        %s.append(x)\n    return x", n,
				l, l)
		}
	case 16:
		if f != "" {
			return fmt.Sprintf("%s(%d)", f, k)
		}
	case 17:
		return fmt.Sprintf("class %s:\n    def __init__(self, v=%d):\n        self.v = v\n        self.items = []\n  "+
			"  def add(self, x):\n        self.items.append(x)\n        return self\n    def look(self):\n        "+
			"return self.v", g.bind("cls"), k)
	case 18:
		if c != "" {
			n := c
			t := g.bind("obj")
			if t != n {
				arg := g.pick("list", "int")
				return fmt.Sprintf("%s = %s(%s)", t, n, arg)
			}
			return fmt.Sprintf("%s = %s()", t, n)
		}
	case 19:
		if o != "" {
			return fmt.Sprintf("%s.add(%d)", o, k)
		}
	case 20:
		if o != "" {
			return fmt.Sprintf("%s.v = %d", o, k)
		}
	case 21:
		if o != "" && l != "" {
			return fmt.Sprintf("%s.add(%s)", o, l)
		}
	case 22:
		if i != "" {
			j := i
			n := g.bind("int")
			return fmt.Sprintf("if %s > 20:\n    %s = %d\nelse:\n    %s = %d", j, n, k, n, m)
		}
	case 23:
		if l != "" {
			j := l
			n := g.bind("list")
			return fmt.Sprintf("%s = [y for y in %s]", n, j)
		}
	case 24:
		if l != "" && d != "" {
			return fmt.Sprintf("%s, %s = %s, %d", "t1", "t2", l, k)
		}
	case 25:
		if d != "" {
			return fmt.Sprintf("%s.update(z=%d)", d, k)
		}
	case 26:
		if l != "" && len(g.live) > 0 {
			return fmt.Sprintf("if len(%s) > 1:\n    %s.pop()", l, l)
		}
	case 27:
		if l != "" {
			return fmt.Sprintf("def helper%d(z):\n    z.append(%d)\nhelper%d(%s)", m%3, k, m%3, l)
		}
	case 28:
		if d != "" && l != "" {
			return fmt.Sprintf("holder = {'h': %s}\nholder['h'].append(%d)", l, k)
		}
	case 29:
		if i != "" {
			return fmt.Sprintf("def set%d():\n    global %s\n    %s = %d\nset%d()", m%3, i, i, k, m%3)
		}
	}
	return fmt.Sprintf("print(%d)", k)
}

func (g *random) notebook() []string {
	var cells []string
	for range 2 + g.r.IntN(7) {
		if len(cells) > 0 && g.r.IntN(6) == 0 {
			cells = append(cells, cells[g.r.IntN(len(cells))]) // a cell run again; it may fail, and then it is left out
			continue
		}
		var c []string
		for range 1 + g.r.IntN(4) {
			c = append(c, g.statement())
		}
		cells = append(cells, strings.Join(c, "\n"))
	}
	var used []string
	for _, n := range g.names {
		if g.live[n] != "" && g.r.IntN(2) == 0 {
			used = append(used, n)
		}
	}
	var b strings.Builder
	b.WriteString("def entry():\n    out = []\n")
	for _, n := range used {
		fmt.Fprintf(&b, "    out.append(%s)\n", n)
		if g.live[n] == "func" {
			fmt.Fprintf(&b, "    out.append(%s(1))\n", n)
		}
	}
	b.WriteString("    return out")
	return append(cells, b.String())
}

// TestProgramsDoWhatTheirNotebooksDo makes notebooks by chance, and compares what the entry returns in the notebook and
// in its program.
func TestProgramsDoWhatTheirNotebooksDo(t *testing.T) {
	n := 500
	if testing.Short() {
		n = 100
	}
	var cases []map[string]any
	for seed := range n {
		g := &random{
			r: rand.New(rand.NewPCG(uint64(seed), 1)), names: []string{"a", "b", "c", "d", "e"},
			live: map[string]string{},
		}
		cells := g.notebook()
		p := sliced(t, cells, slicer.Options{})
		cases = append(cases, map[string]any{"kind": "run", "cells": cells, "main": p.Main(), "entry": "entry"})
	}
	same, kept, typed := 0, 0, 0
	for i, a := range check(t, cases) {
		if a["notebook_error"] != nil {
			continue // a notebook that does not run says nothing
		}
		same++
		kept += strings.Count(strings.Split(cases[i]["main"].(string), Guard)[0], "\n")
		typed += strings.Count(strings.Join(cases[i]["cells"].([]string), "\n"), "\n")
		if wrong := wrong(a); wrong != "" {
			t.Errorf("seed %d: %s\n%s\n=== program\n%s", i, wrong, strings.Join(cases[i]["cells"].([]string),
				"\n---\n"), cases[i]["main"])
			if t.Failed() && testing.Verbose() {
				return
			}
		}
	}
	t.Logf("%d of %d notebooks ran; %d of %d lines were kept", same, n, kept, typed)
	if same < n/2 {
		t.Errorf("only %d of %d notebooks ran", same, n)
	}
}
