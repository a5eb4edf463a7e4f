package jupytext

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/lazyregexp"
)

var (
	databricksHead = lazyregexp.New(`^(?:#|//|--) Databricks notebook source\s*$`)
	databricksCell = lazyregexp.New(`^(?:#|//|--) COMMAND -{10}\s*$`)
)

// IsDatabricks says whether a text is a notebook that Databricks has exported as source.
func IsDatabricks(data []byte) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(string(data[:min(len(data), 200)]), "\ufeff"), "\n")
	return databricksHead.MatchString(first)
}

// databricksMagics are the cell magics of Databricks that IPython knows by another name.
var databricksMagics = map[string]string{
	"sql": "%%sql", "sh": "%%bash", "python": "", "r": "%%R", "scala": "%%scala",
}

// FromDatabricks reads a notebook that Databricks has exported as source, in Python, Scala, SQL or R. Cells of another
// language begin with its magic; "%run PATH" and "%pip" stay what they are, and so does what is not known, with its
// sign "# MAGIC".
func FromDatabricks(data []byte, o Options) (*nbformat.Document, error) {
	if !utf8.Valid(data) {
		return nil, errEncoding
	}
	if !IsDatabricks(data) {
		return nil, fmt.Errorf("the text does not begin with %q: it is no source that Databricks exported",
			"# Databricks notebook source")
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	sign, _, _ := strings.Cut(lines[0], " ")
	n := &notebook{}
	own := ""
	switch {
	case sign == "#" && o.Extension != ".r" && o.Extension != ".R":
		own = "python"
	case sign == "#":
		own = "r"
	case sign == "//":
		own = "scala"
	default:
		own = "sql"
	}
	spec := nbformat.ObjectValue()
	spec.Set("display_name", nbformat.StringValue(map[string]string{
		"python": "Python 3", "r": "R", "scala": "Scala", "sql": "SQL",
	}[own]))
	spec.Set("language", nbformat.StringValue(map[string]string{"r": "R"}[own]+strings.TrimPrefix(own, "r")))
	spec.Set("name", nbformat.StringValue(map[string]string{
		"python": "python3", "r": "ir", "scala": "scala", "sql": "sql",
	}[own]))
	n.meta.set("kernelspec", spec)
	from := 1
	for i := 1; i <= len(lines); i++ {
		if i < len(lines) && !databricksCell.MatchString(lines[i]) {
			continue
		}
		if c, ok := databricksSource(lines[from:i], sign, own); ok {
			n.cells = append(n.cells, c)
		}
		from = i + 1
	}
	return n.build(o, markdownFormat)
}

// databricksSource reads a cell.
func databricksSource(lines []string, sign, own string) (c cell, ok bool) {
	c = cell{kind: "code", blanks: -1}
	for len(lines) > 0 && blank(lines[0]) {
		lines = lines[1:]
	}
	if len(lines) > 0 {
		if title, is := strings.CutPrefix(lines[0], sign+" DBTITLE "); is {
			if _, after, has := strings.Cut(title, ","); has {
				c.meta.set("title", nbformat.StringValue(after))
			}
			lines = lines[1:]
		}
	}
	for len(lines) > 0 && blank(lines[len(lines)-1]) {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		return c, false
	}
	magic := sign + " MAGIC"
	text := make([]string, len(lines))
	for i, line := range lines {
		rest, is := strings.CutPrefix(line, magic)
		if !is {
			c.source = strings.Join(lines, "\n") // code, or what is not known
			return c, true
		}
		text[i] = strings.TrimPrefix(rest, " ")
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(text[0], "%"), " ")
	first := strings.TrimLeft(rest, " ")
	behind := func(head string) string {
		all := text[1:]
		if first != "" {
			all = append([]string{first}, all...)
		}
		if head != "" {
			all = append([]string{head}, all...)
		}
		return strings.Join(all, "\n")
	}
	if !strings.HasPrefix(text[0], "%") || strings.HasPrefix(text[0], "%%") {
		c.source = strings.Join(text, "\n")
		if !strings.HasPrefix(text[0], "%%") {
			c.source = strings.Join(lines, "\n")
		}
		return c, true
	}
	switch head, known := databricksMagics[name]; {
	case name == "md" || strings.HasPrefix(name, "md-"):
		c.kind, c.source = "markdown", behind("")
	case name == own:
		c.source = behind("")
	case name == "python":
		c.source = behind("%%python")
	case known:
		c.source = behind(head)
	case slices.Contains([]string{"pip", "conda", "run", "load_ext", "matplotlib", "time"}, name):
		c.source = strings.Join(text, "\n")
	default:
		c.source = strings.Join(lines, "\n") // %fs, and what came later
	}
	return c, true
}
