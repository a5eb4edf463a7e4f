package slicer

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

// cell is an executed cell that counts.
type cell struct {
	*session.Cell
	code    ipython.Result
	tree    *syntax.Tree
	stmts   []*stmt
	broken  int      // line of a syntax error, 0 if there is none
	aliases *aliases // what our names are called at the end of the cell
	outer   *cell    // that executed this one by %run
	runAt   runLine  // where it did
	runs    []*cell  // what it executed by %run
}

// stmt is a top-level statement of a cell.
type stmt struct {
	cell     *cell
	node     *syntax.Node // nil where the parser could not read it
	text     string
	line     int // from 1
	endLine  int
	time     int             // index in work.stmts
	last     bool            // the last statement of its cell, whose value the notebook shows
	skip     bool            // never part of a program: a guard, a call of an entry function
	distinct bool            // it repeats another statement, but must not be left out
	changes  bool            // it changes objects, so that executing it twice is not executing it once
	modules  []string        // whose settings it changes
	seeds    map[string]bool // libraries whose random numbers it seeds
	draws    map[string]bool // … and draws from
	saves    bool            // it saves a figure
	ours     bool            // it has a decorator of ours

	decorator string // Train or Serve, if that is one of them
	e         *effects
	loopNames map[string]bool     // the variables of a loop, which it binds before it reads them
	uses      map[string][]*value // what its immediate names meant
	binds     []*value
	code      *function // what it does, some of it later
}

// asFunction is the statement as a function: the lambdas in it do later what it is said to do.
func (s *stmt) asFunction() *function {
	if s.code == nil {
		s.code = &function{name: s.name(), e: *s.e}
	}
	return s.code
}

func (w *work) note(code usererror.Code, cell, line int, hint, format string, args ...any) {
	c := usererror.At(code, cell, line, format, args...)
	c.Hint = hint
	w.out.Notes = append(w.out.Notes, *c)
}

// readCells decides which executed cells count, and parses them.
func (w *work) readCells() error {
	w.lost = map[string]loss{}
	w.aliases = &aliases{module: map[string]bool{}, names: map[string]string{}}
	life := 0
	for i := range w.doc.Cells {
		life = max(life, w.doc.Cells[i].Kernel)
	}
	parsed := w.readRunFiles(parse(w.doc.Cells, w.doc.Kind == session.Live))
	present := map[int]*cell{}
	for i := range parsed {
		present[parsed[i].cell.Seq] = parsed[i].cell
	}
	parent := func(c *cell) *cell {
		if p := present[c.Parent]; p != nil && p.Seq < c.Seq {
			return p
		}
		return nil
	}
	reached := false
	counts := map[*cell]bool{}
	var nested []*cell
	for i := range parsed {
		cc := parsed[i].cell
		outer := parent(cc)
		if cc.Origin == "run" {
			// Not the body of %%capture, but the cell that has it.
			for outer != nil && outer.Origin != "run" && parent(outer) != nil {
				outer = parent(outer)
			}
			cc.outer = outer
		}
		w.out.counts[cc.Seq] = cc.label()
		switch {
		case cc.outer != nil && !counts[cc.outer] && cc.Kernel == life, reached && cc.outer == nil,
			outer != nil && cc.outer == nil:
			continue
		}
		reached = reached || w.o.Cell != 0 && cc.Seq == w.o.Cell
		switch err := parsed[i].err; {
		case errors.Is(err, syntax.ErrTooDeep), errors.Is(err, syntax.ErrTooLong):
			return usererror.At(usererror.CodeTooLarge, cc.Seq, 0, "cell %d cannot be read: %v", cc.label(), err)
		case err != nil:
			return fmt.Errorf("parse cell %d: %w", cc.Seq, err)
		}
		cc.tree, cc.broken = parsed[i].tree, parsed[i].tree.ErrorAt
		w.split(cc)
		if cc.Kernel != life {
			w.forget(cc.stmts, fmt.Sprintf("cell %d defined it before the kernel was restarted", cc.label()))
			continue
		}
		w.cutFailed(cc)
		if cc.outer != nil {
			nested = append(nested, cc)
		}
		if len(cc.stmts) > 0 || len(cc.code.Magics) > 0 || w.doc.Kind != session.Saved {
			w.cells = append(w.cells, cc)
			counts[cc] = true
		}
	}
	w.nest(nested)
	if w.o.Cell != 0 && !reached {
		return fmt.Errorf("the session document has no cell %d", w.o.Cell)
	}
	if len(w.cells) == 0 {
		return usererror.At(usererror.CodeNoCells, 0, 0,
			"no cell was executed, so there is nothing to run").With("Run the cell that defines the function first.")
	}
	return nil
}

// cutFailed drops the statements of a failed cell that were not executed.
func (w *work) cutFailed(c *cell) {
	if c.OK == nil || *c.OK {
		return
	}
	n := 0
	for n < len(c.stmts) && c.FailedLine > 0 && c.stmts[n].endLine < c.FailedLine {
		n++
	}
	w.forget(c.stmts[n:], fmt.Sprintf("cell %d failed before it was defined", c.label()))
	c.stmts = c.stmts[:n]
	c.broken = 0
}

// parsing is a cell and what the parser made of it.
type parsing struct {
	cell *cell
	tree *syntax.Tree
	err  error
}

// parse translates and parses cells, on all processors: it is most of the work of a slice.
func parse(cells []session.Cell, live bool) []parsing {
	out := make([]parsing, len(cells))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(out)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(out); i = int(next.Add(1)) - 1 {
				c := &cell{Cell: &cells[i]}
				c.code = ipython.Transform(c.Source, ipython.Options{Moved: live})
				tree, err := syntax.Parse(c.code.Code)
				out[i] = parsing{c, tree, err}
			}
		})
	}
	wg.Wait()
	return out
}

// loss is why a name is not defined although a cell defines it.
type loss struct {
	why   string
	again bool // the cell in why defines it when it runs once more
}

// forget notes of what a cell defines why that is not defined.
func (w *work) forget(stmts []*stmt, why string) {
	for _, s := range stmts {
		for _, b := range s.e.binds {
			w.lost[b.name] = loss{why: why, again: true}
		}
	}
}

// split cuts a cell into statements and scans each.
func (w *work) split(c *cell) {
	for _, n := range c.tree.Root.Children {
		if c.broken > 0 && (n.Error || hasError(n)) {
			// The parser is not CPython: what a kernel has executed is Python all the same. Such a piece is kept whole,
			// to the end of the cell, and every name in it counts as read, bound and changed.
			c.stmts = append(c.stmts, opaque(c, n))
			break
		}
		c.stmts = append(c.stmts, &stmt{
			cell: c, node: n, text: statementText(c.tree.Src, n), line: n.Row + 1, endLine: n.EndRow + 1,
		})
	}
	c.aliases = w.aliases
	for i, s := range c.stmts {
		s.last = i == len(c.stmts)-1
		if s.node == nil {
			continue
		}
		s.node.Walk(func(n *syntax.Node) bool {
			w.aliases.learn(n)
			if n.Kind == "decorator" && w.aliases.isDecorator(n) {
				s.ours = true
				if name := w.aliases.of(n.Children[0]); name == "Train" || name == "Serve" {
					s.decorator = name
				}
			}
			return true
		})
		s.e = scan(s.node, w.aliases)
		s.loopNames = loopNames(s.node)
		if s.last && !strings.HasSuffix(strings.TrimRight(c.tree.Src, " \t\r\n"), ";") {
			for i := range s.e.calls {
				s.e.calls[i].shown = s.e.calls[i].discarded && s.node.Kind == "expression_statement"
			}
		}
	}
}

// loopNames gives the variables of a for loop that what it goes over does not read.
func loopNames(n *syntax.Node) map[string]bool {
	if n.Kind != "for_statement" {
		return nil
	}
	out := map[string]bool{}
	pattern(n.Child("left"), out)
	if over := n.Child("right"); over != nil {
		over.Walk(func(c *syntax.Node) bool {
			delete(out, c.Text())
			return true
		})
	}
	return out
}

func hasError(n *syntax.Node) bool {
	bad := false
	n.Walk(func(n *syntax.Node) bool {
		bad = bad || n.Error
		return !bad
	})
	return bad
}

// statementText is the text of a statement with a comment behind it.
func statementText(src string, n *syntax.Node) string {
	rest := src[n.End:]
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	if t := strings.TrimLeft(rest, " \t;"); strings.HasPrefix(t, "#") {
		return strings.TrimRight(src[n.Start:n.End], " \t\r\n") + "  " + strings.TrimRight(t, " \t\r\n")
	}
	return strings.TrimRight(src[n.Start:n.End], " \t\r\n")
}

// lead gives the comment lines directly above a line.
func lead(src string, line int) []string {
	lines := strings.Split(src, "\n")
	var out []string
	for i := line - 2; i >= 0 && i < len(lines); i-- {
		t := strings.TrimSpace(lines[i])
		if !strings.HasPrefix(t, "#") || strings.HasPrefix(lines[i], " ") {
			break
		}
		out = append([]string{strings.TrimRight(lines[i], " \t\r")}, out...)
	}
	return out
}
