package slicer

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/session"
)

// maxRunFile bounds a file that %run executes, in bytes; maxRunFiles their number.
const (
	maxRunFile  = 8 << 20
	maxRunFiles = 200
)

// runLine is what follows %run.
type runLine struct {
	line   int    // in its cell
	file   string // as written, "" if it cannot be known
	noMain bool   // -n: __name__ is not "__main__"
}

func runLines(magics []ipython.Magic) []runLine {
	var out []runLine
	for _, m := range magics {
		if m.Kind != ipython.Line || m.Name != "run" {
			continue
		}
		r := runLine{line: m.Line}
		args := strings.TrimSpace(m.Args)
		for strings.HasPrefix(args, "-") {
			option, rest, _ := strings.Cut(args, " ")
			if option == "-m" {
				rest = "" // a module; its source is not searched for
			}
			r.noMain = r.noMain || option == "-n"
			args = strings.TrimSpace(rest)
		}
		if args != "" {
			if end := strings.IndexByte(args[1:], args[0]); (args[0] == '"' || args[0] == '\'') && end >= 0 {
				r.file = args[1 : 1+end]
			} else {
				r.file = strings.Fields(args)[0]
			}
		}
		if strings.ContainsAny(r.file, "${") {
			r.file = ""
		}
		out = append(out, r)
	}
	return out
}

// readRunFiles adds the files that %run executed, where the document does not have them: in saved notebooks, and in
// cells from before MetaML was loaded. They become cells as a live document has them, of origin "run".
func (w *work) readRunFiles(parsed []parsing) []parsing {
	has := map[int]bool{}
	seq := 0
	for _, p := range parsed {
		seq = max(seq, p.cell.Seq)
		if p.cell.Origin == "run" {
			has[p.cell.Parent] = true
		}
	}
	for i := 0; i < len(parsed) && len(parsed) < len(w.doc.Cells)+maxRunFiles; i++ {
		c := parsed[i].cell
		if has[c.Seq] || w.doc.Kind != session.Saved && c.Origin != "history" {
			continue
		}
		for _, r := range runLines(c.code.Magics) {
			var cells []session.Cell
			for _, source := range w.runFile(r.file) {
				seq++
				cells = append(cells, session.Cell{
					Seq: seq, Source: source, OK: c.OK, Origin: "run", Parent: c.Seq, Kernel: c.Kernel,
				})
			}
			for _, p := range parse(cells, w.doc.Kind == session.Live) {
				p.cell.runAt = r
				parsed = append(parsed, p)
			}
		}
	}
	return parsed
}

// runFile gives the code of a file as %run finds it; of a notebook, of its cells.
func (w *work) runFile(file string) []string {
	if file == "" {
		return nil
	}
	path := file
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		path = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(path) {
		if w.doc.Cwd == "" {
			return nil
		}
		path = filepath.Join(w.doc.Cwd, path)
	}
	for _, p := range []string{path, path + ".py"} {
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxRunFile {
			continue
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return nil
		}
		var doc *session.Document
		if strings.HasSuffix(p, ".ipynb") {
			doc, err = session.FromNotebook(data, p)
		} else {
			doc, err = session.FromScript(data, p)
		}
		if err != nil {
			return nil
		}
		var out []string
		for i := range doc.Cells {
			out = append(out, doc.Cells[i].Source)
		}
		return out
	}
	return nil
}

// nest gives what %run executed to the cells that ran it. A live document does not say at which line that was; one file
// is one line, and the cells of a notebook are at a line that runs one.
func (w *work) nest(nested []*cell) {
	var owners []*cell
	for _, n := range nested {
		if len(n.outer.runs) == 0 {
			owners = append(owners, n.outer)
		}
		n.outer.runs = append(n.outer.runs, n)
	}
	for _, o := range owners {
		rest := o.runs
		if rest[0].runAt.line > 0 {
			continue
		}
		lines := runLines(o.code.Magics)
		extra := len(rest) - len(lines)
		for i, l := range lines {
			n := 1
			if extra > 0 && (strings.HasSuffix(l.file, ".ipynb") || i == len(lines)-1) {
				n, extra = 1+extra, 0
			}
			for ; n > 0 && len(rest) > 0; n-- {
				rest[0].runAt, rest = l, rest[1:]
			}
		}
	}
}

// where is how people call the place of a line: cell 3, line 2; or, of a file that was run or is the program, its own.
func (c *cell) where(kind session.Kind, line int) string {
	switch {
	case c.runAt.file != "":
		return c.runAt.file + ", line " + itoa(line)
	case kind == session.Script:
		return "line " + itoa(line)
	}
	return "cell " + itoa(c.label()) + ", line " + itoa(line)
}

// label is how people call the cell; what %run executed is called by the cell that ran it.
func (c *cell) label() int {
	for c.outer != nil {
		c = c.outer
	}
	if c.Count > 0 {
		return c.Count
	}
	return c.Seq
}
