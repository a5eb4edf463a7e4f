package jupytext

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/lazyregexp"
)

var (
	yamlMark    = lazyregexp.New(`^---\s*$`)
	jupyterLine = lazyregexp.New(`^jupyter\s*:\s*$`)
)

const utf8Line = " -*- coding: utf-8 -*-"

// format is what a text is written in.
type format struct {
	language
	name, version string // of the format in jupytext
	markdown      bool
}

func percentFormat(l language) format { return format{language: l, name: "percent", version: "1.3"} }

// notebook is a document without what text does not hold.
type notebook struct {
	cells []cell
	meta  metadata

	// How the text stood, where that is not how it would be written.
	header   *string // all before the first cell
	text     *string // all
	carriage bool    // lines end in \r\n
	mark     bool    // it begins with a byte order mark
}

// representation is what jupytext writes of itself into a header.
func (f format) representation() *nbformat.Value {
	v := nbformat.ObjectValue()
	v.Set("extension", nbformat.StringValue(f.extension))
	v.Set("format_name", nbformat.StringValue(f.name))
	v.Set("format_version", nbformat.StringValue(f.version))
	v.Set("jupytext_version", nbformat.StringValue(version))
	return v
}

// bare is the metadata of a notebook made of a text without a header.
func bare(f format) *nbformat.Value {
	v := nbformat.ObjectValue()
	if !f.markdown {
		v.Set("main_language", nbformat.StringValue(f.language.name))
	}
	v.Set("notebook_metadata_filter", nbformat.StringValue("-all"))
	return v
}

// isBare says whether metadata is that of a notebook made of a text without a header.
func isBare(own *nbformat.Value, f format) bool {
	want := bare(f)
	if language := own.Get("main_language"); f.markdown && language.Kind() == nbformat.String {
		want.Set("main_language", language)
	}
	return equal(own, want)
}

// headerCell gives the lines of a raw cell that is YAML for other programs, which stands in the header.
func headerCell(c *cell, exact bool) ([]string, bool) {
	if c.kind != "raw" {
		return nil, false
	}
	source := strings.Trim(c.source, "\n\t ")
	lines := strings.Split(source, "\n")
	if len(lines) < 2 || !yamlMark.MatchString(lines[0]) || !yamlMark.MatchString(lines[len(lines)-1]) {
		return nil, false
	}
	if exact && (source != c.source || len(c.meta) > 0 || c.mark != nil || c.body != nil ||
		lines[0] != "---" || lines[len(lines)-1] != "---" || len(lines) == 2) {
		return nil, false
	}
	return lines[1 : len(lines)-1], true
}

func (f format) commentLine(line string) string {
	switch {
	case f.markdown:
		return line
	case f.suffix == "" && line == "":
		return f.comment
	case f.suffix == "":
		return f.comment + " " + line
	case line == "":
		return f.comment + " " + f.suffix
	}
	return f.comment + " " + line + " " + f.suffix
}

// uncommentLine is the opposite of commentLine.
func (f format) uncommentLine(line string) string {
	if f.markdown {
		return line
	}
	if after, ok := strings.CutPrefix(line, f.comment); ok {
		line = strings.TrimPrefix(after, " ")
	}
	if f.suffix != "" {
		if before, ok := strings.CutSuffix(line, f.suffix); ok {
			line = strings.TrimSuffix(before, " ")
		}
	}
	return line
}

// headerOf writes the lines before the first cell, and says how many cells are in them.
func (w *writer) headerOf(n *notebook) (first, yaml []string, cells int) {
	f := w.format
	if w.NoHeader {
		return nil, nil, 0
	}
	meta := n.meta
	own := nbformat.ObjectValue()
	for key, v := range meta.get("jupytext").Members() {
		own.Set(key, v)
	}
	if !f.markdown {
		if v := own.Get("executable"); v.Kind() == nbformat.String {
			first = append(first, "#!"+v.Text())
			own.Delete("executable")
		}
		if v := own.Get("encoding"); v.Kind() == nbformat.String {
			first = append(first, v.Text())
			own.Delete("encoding")
		} else if defaultLanguage(n.meta, f.language) != "python" && !ascii(n.cells) {
			first = append(first, f.comment+utf8Line)
		}
	}
	if len(n.cells) > 0 && !w.plainHeader {
		if lines, ok := headerCell(&n.cells[0], !w.LikeJupytext); ok {
			yaml, cells = slices.Clone(lines), 1
		}
	}
	without := meta.without("jupytext")
	if !w.LikeJupytext && !w.jsonHeader && len(yaml) == 0 && len(without) == 0 && isBare(own, f) {
		return first, nil, 0
	}
	if w.LikeJupytext {
		if main, spec := own.Get("main_language").Text(), n.meta.get("kernelspec").Get("language").Text(); main != "" &&
			(main == spec || spec == "" && main == f.language.name) {
			own.Delete("main_language")
		}
	}
	if !own.Has("text_representation") || w.LikeJupytext {
		own.Set("text_representation", f.representation())
	}
	jupyter := nbformat.ObjectValue()
	if w.LikeJupytext {
		without = notebookFilter(without, own.Get("notebook_metadata_filter").Text())
	}
	for _, e := range without {
		jupyter.Set(e.key, e.value)
	}
	if !w.LikeJupytext || !excludesAll(own.Get("notebook_metadata_filter").Text()) {
		jupyter.Set("jupytext", own)
	}
	if !w.jsonHeader && jupyter.Len() > 0 {
		root := nbformat.ObjectValue()
		root.Set("jupyter", jupyter)
		lines, err := dumpYAML(root)
		if err == nil {
			yaml = append(yaml, lines...)
		} else {
			w.jsonHeader = true
		}
	}
	if w.jsonHeader {
		hold := nbformat.ObjectValue()
		hold.Set(metadataKey, nbformat.StringValue(dumps(n.meta.object())))
		hold.Set("jupytext", nbformat.ObjectValue())
		hold.Get("jupytext").Set("text_representation", f.representation())
		root := nbformat.ObjectValue()
		root.Set("jupyter", hold)
		lines, _ := dumpYAML(root) // the keys are plain
		yaml = append(yaml, lines...)
	}
	if len(yaml) == 0 {
		return first, nil, cells
	}
	out := []string{"---"}
	out = append(append(out, yaml...), "---")
	for i := range out {
		out[i] = f.commentLine(out[i])
	}
	return first, out, cells
}

func excludesAll(filter string) bool {
	return slices.Contains(strings.Split(strings.ReplaceAll(filter, " ", ""), ","), "-all")
}

// notebookFilter leaves of the notebook's metadata what jupytext writes.
func notebookFilter(m metadata, filter string) metadata {
	include := []string{"jupytext", "kernelspec", "kernel_info", "orphan", "tocdepth"}
	var exclude []string
	all := false
	for word := range strings.SplitSeq(strings.ReplaceAll(filter, " ", ""), ",") {
		switch {
		case word == "all" || word == "+all":
			all = true
		case word == "-all":
			include = nil
		case strings.HasPrefix(word, "-"):
			exclude = append(exclude, word[1:])
		case word != "":
			include = append(include, strings.TrimPrefix(word, "+"))
		}
	}
	var out metadata
	for _, e := range m {
		if validKey(e.key) && (all || slices.Contains(include, e.key)) && !slices.Contains(exclude, e.key) {
			out = append(out, e)
		}
	}
	return out
}

func ascii(cells []cell) bool {
	for i := range cells {
		for j := range len(cells[i].source) {
			if cells[i].source[j] >= 0x80 {
				return false
			}
		}
	}
	return true
}

var coding = lazyregexp.New(`coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)

// readHeader reads the lines before the first cell: the metadata, a cell of YAML for other programs, and the line
// behind them. Where there is no header, or one that is not understood, body is the line behind "#!" and the encoding.
func readHeader(f format, lines []string) (meta metadata, first *cell, body int) {
	own := nbformat.ObjectValue()
	start := 0
	encoded := false
	if !f.markdown {
		if len(lines) > 0 && strings.HasPrefix(lines[0], "#!") {
			own.Set("executable", nbformat.StringValue(lines[0][2:]))
			start = 1
		}
		if start < len(lines) && strings.HasPrefix(strings.TrimLeft(lines[start], " \t\f"), f.comment) {
			if m := coding.FindStringSubmatch(lines[start]); m != nil && m[1] == "utf-8" {
				own.Set("encoding", nbformat.StringValue(lines[start]))
				encoded = lines[start] == f.comment+utf8Line
				start++
			}
		}
	}
	finish := func(meta metadata, first *cell, body int) (metadata, *cell, int) {
		all := nbformat.ObjectValue()
		for key, v := range meta.get("jupytext").Members() {
			all.Set(key, v)
		}
		if encoded && defaultLanguage(meta, f.language) != "python" && !asciiLines(lines[body:]) {
			own.Delete("encoding") // it is written where a character needs it
		}
		for key, v := range own.Members() {
			all.Set(key, v)
		}
		if all.Len() > 0 {
			meta.set("jupytext", all)
		}
		return meta, first, body
	}
	header, jupyter, end := splitHeader(f, lines, start)
	if end > 0 && len(header)+len(jupyter) > 0 {
		meta, ok := jupyterMetadata(f, jupyter)
		if ok {
			if len(header) > 0 {
				first = &cell{kind: "raw", source: "---\n" + strings.Join(header, "\n") + "\n---", blanks: -1}
			}
			return finish(meta, first, end)
		}
	}
	return finish(metadata{{"jupytext", bare(f)}}, nil, start)
}

func asciiLines(lines []string) bool {
	for _, line := range lines {
		for i := range len(line) {
			if line[i] >= 0x80 {
				return false
			}
		}
	}
	return true
}

// splitHeader divides a header into what is Jupyter's and the rest; end is the line behind it, 0 if there is none.
func splitHeader(f format, lines []string, start int) (header, jupyter []string, end int) {
	in, began := false, false
	for i := start; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], f.comment) && !f.markdown {
			return nil, nil, 0
		}
		line := f.uncommentLine(lines[i])
		switch {
		case !began && !yamlMark.MatchString(line):
			return nil, nil, 0
		case !began:
			began = true
			continue
		case yamlMark.MatchString(line):
			return header, jupyter, i + 1
		}
		if jupyterLine.MatchString(line) {
			in = true
		} else if line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			in = false
		}
		if in {
			jupyter = append(jupyter, line)
		} else {
			header = append(header, line)
		}
	}
	return nil, nil, 0
}

// jupyterMetadata reads the metadata of a notebook.
func jupyterMetadata(f format, lines []string) (metadata, bool) {
	if len(lines) == 0 {
		return metadata{{"jupytext", bare(f)}}, true
	}
	v, err := loadYAML(strings.Join(lines, "\n"))
	if err != nil || v.Get("jupyter").Kind() != nbformat.Object {
		return nil, false
	}
	v = v.Get("jupyter")
	if hold := v.Get(metadataKey); hold.Kind() == nbformat.String {
		if held, err := nbformat.ParseValue([]byte(hold.Text())); err == nil && held.Kind() == nbformat.Object {
			return metadataOf(held), true
		}
	}
	meta := metadataOf(v)
	if own := v.Get("jupytext"); equal(own.Get("text_representation"), f.representation()) {
		own.Delete("text_representation")
		if own.Len() == 0 {
			meta = meta.without("jupytext")
		}
	}
	return meta, true
}
