package session

import (
	"strings"

	"github.com/metaml/metaml/converter/jupytext"
	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// This file reads the scripts that jupytext writes for notebooks (its formats percent, hydrogen and light), in which
// magics and commands are comments.

var (
	// lightMarker begins or ends a cell of the format light.
	lightMarker = lazyregexp.New(`^# ?([+-])([ \t].*)?$`)
	// formatName is in the header.
	formatName = lazyregexp.New(`\bformat_name: *(\w+)`)
	// language is in the marker of a cell that is all comment.
	language = lazyregexp.New(`\blanguage="([^"]+)"`)
	// magicArgs is what stood behind that cell's magic.
	magicArgs = lazyregexp.New(`\bmagic_args="((?:[^"\\]|\\.)*)"`)
	// magic is a comment that is IPython's, as jupytext recognises it; "# # %cd" is the comment "# %cd".
	magic = lazyregexp.New(`^# (# )*(%{1,3}[A-Za-z]|[!?] *[A-Za-z.~$\\/{}]|` +
		`[\w.]+[ \t]*=[ \t]*[%!][ \t]*[A-Za-z.~$\\/{}])`)
	// own is a cell magic of ours.
	own = lazyregexp.New(`^%%(train|serve)([ \t]|$)`)
)

// fromJupytext makes the document of a script that stands for a notebook with a cell of ours: the notebook's. ok is
// false for any other script, of which comments are comments.
func fromJupytext(src, path string) (d *Document, ok bool) {
	if !strings.Contains(src, "%%train") && !strings.Contains(src, "%%serve") {
		return nil, false
	}
	lines := strings.Split(src, "\n")
	body, format := header(lines)
	d = &Document{V: Version, Kind: Saved, Source: path, Cwd: folder(path)}
	add := func(source string, marked bool) {
		if source = strings.TrimRight(source, " \t\n"); source == "" || !marked && onlyComments(source) {
			return // markdown, or the file's own remarks
		}
		ok = ok || isOwn(source)
		d.Cells = append(d.Cells, Cell{Seq: len(d.Cells) + 1, Source: source})
	}
	switch format {
	case "light":
		for _, c := range lightCells(lines, body, token.InString(src)) {
			add(c.source(), c.marked)
		}
	case "", "percent", "hydrogen":
		for _, c := range jupytext.Sources(src, format != "hydrogen") {
			if c.Kind == "code" {
				add(c.Text, c.Marked)
			}
		}
	default:
		return nil, false
	}
	return d, ok
}

// header finds the line behind jupytext's header, and the format that it names.
func header(lines []string) (body int, format string) {
	i := 0
	for i < len(lines) && (strings.HasPrefix(lines[i], "#!") || strings.HasPrefix(lines[i], "# -*-")) {
		i++
	}
	if i >= len(lines) || strings.TrimSpace(lines[i]) != "# ---" {
		return 0, ""
	}
	for j := i + 1; j < len(lines) && strings.HasPrefix(lines[j], "#"); j++ {
		if strings.TrimSpace(lines[j]) == "# ---" {
			if m := formatName.FindStringSubmatch(strings.Join(lines[i:j], "\n")); m != nil {
				return j + 1, m[1]
			}
			return j + 1, ""
		}
	}
	return 0, ""
}

// scriptCell is a cell of a script.
type scriptCell struct {
	lines  []string
	quoted []bool // which lines begin inside of a string
	about  string // what stands in its marker
	marked bool   // it has one
}

func onlyComments(source string) bool {
	for l := range strings.SplitSeq(source, "\n") {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			return false
		}
	}
	return true
}

// lightCells divides at "# +" and "# -", and elsewhere at blank lines before what is not indented.
func lightCells(lines []string, from int, quoted []bool) []scriptCell {
	var cells []scriptCell
	explicit, blank := false, true
	for i := from; i < len(lines); i++ {
		m := lightMarker.FindStringSubmatch(lines[i])
		empty := strings.TrimSpace(lines[i]) == ""
		switch {
		case m != nil && !quoted[i]:
			explicit, blank = m[1] == "+", true
			if explicit {
				cells, blank = append(cells, scriptCell{about: m[2], marked: true}), false
			}
			continue
		case empty && blank:
			continue
		case blank || !explicit && !quoted[i] && !empty && i > from && strings.TrimSpace(lines[i-1]) == "" &&
			lines[i][0] != ' ' && lines[i][0] != '\t':
			cells, blank = append(cells, scriptCell{}), false
		}
		c := &cells[len(cells)-1]
		c.lines, c.quoted = append(c.lines, lines[i]), append(c.quoted, quoted[i])
	}
	return cells
}

// source is the text of a code cell as it is in the notebook, "" of another cell.
func (c *scriptCell) source() string {
	about := c.about
	if strings.Contains(about, "[markdown]") || strings.Contains(about, "[md]") || strings.Contains(about, "[raw]") ||
		strings.Contains(about, `active=""`) {
		return ""
	}
	lines := make([]string, len(c.lines))
	continued := false // a magic's line goes on in this one
	m := language.FindStringSubmatch(about)
	for i, l := range c.lines {
		indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		switch rest := l[len(indent):]; {
		case m != nil: // the body of %%bash
			lines[i] = strings.TrimPrefix(strings.TrimPrefix(l, "#"), " ")
		case continued && strings.HasPrefix(rest, "# "), !c.quoted[i] && magic.MatchString(rest):
			lines[i] = indent + rest[len("# "):]
			continued = !strings.HasPrefix(lines[i][len(indent):], "#") && strings.HasSuffix(l, "\\")
			continue
		default:
			lines[i] = l
		}
		continued = false
	}
	if m != nil {
		first := "%%" + m[1]
		if args := magicArgs.FindStringSubmatch(about); args != nil {
			first += " " + strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(args[1])
		}
		lines = append([]string{first}, lines...)
	}
	return strings.Join(lines, "\n")
}

// isOwn says whether a cell is one of ours, maybe behind other cell magics.
func isOwn(source string) bool {
	for l := range strings.SplitSeq(source, "\n") {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if own.MatchString(l) {
			return true
		}
		if !strings.HasPrefix(l, "%%") {
			return false
		}
	}
	return false
}
