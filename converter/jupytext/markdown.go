package jupytext

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/lazyregexp"
)

var markdownFormat = format{
	language: language{name: "python", extension: ".md"}, name: "markdown", version: "1.3", markdown: true,
}

var (
	regionLine = lazyregexp.New(`^<!--\s*#(region|markdown|md|raw)(.*)-->\s*$`)
	regionEnd  = map[string]*lazyregexp.Regexp{
		"region":   lazyregexp.New(`^<!--\s*#endregion\s*-->\s*$`),
		"markdown": lazyregexp.New(`^<!--\s*#endmarkdown\s*-->\s*$`),
		"md":       lazyregexp.New(`^<!--\s*#endmd\s*-->\s*$`),
		"raw":      lazyregexp.New(`^<!--\s*#endraw\s*-->\s*$`),
	}
)

// Markdown writes a notebook as jupytext does with "--to md": code in fences, raw cells and Markdown with metadata
// between comments of HTML.
func Markdown(d *nbformat.Document, o Options) ([]byte, error) {
	n, err := fromDocument(d)
	if err != nil {
		return nil, err
	}
	f := markdownFormat
	return n.write(o, f, func(o Options) *writer { return newWriter(o, f, n.meta) }, func(text string) *notebook {
		return readMarkdown(text, Options{})
	})
}

// FromMarkdown reads what [Markdown] writes, and other Markdown: its fences with the name of a language become code.
func FromMarkdown(data []byte, o Options) (*nbformat.Document, error) {
	if !utf8.Valid(data) {
		return nil, errEncoding
	}
	return readMarkdown(string(data), o).document(string(data), o, markdownFormat,
		func(d *nbformat.Document) ([]byte, error) { return Markdown(d, Options{}) })
}

// inMarkdown writes a cell. plain says that it stands without a sign that begins and ends it.
func (w *writer) inMarkdown(c *cell, l level) (lines []string, plain bool) {
	source := strings.Split(c.source, "\n")
	meta := w.filtered(c.meta)
	asJSON := w.settings.asJSON && l == usualForm
	if l != usualForm {
		meta = kept(c, l == quotedForm)
	}
	if c.kind == "markdown" {
		if rest, name, arguments, ok := w.inLanguage(source); ok && l == usualForm {
			if meta = slices.Clone(meta); arguments != "" {
				meta.set("magic_args", nbformat.StringValue(arguments))
			}
			meta.set("language", nbformat.StringValue(name))
			source = rest
		}
		if len(meta) == 0 && w.standsAlone(source) {
			return source, true
		}
		name := "region"
		if v := meta.get("region_name"); v.Kind() == nbformat.String && l == usualForm {
			name, meta = v.Text(), meta.without("region_name")
		}
		if l == quotedForm {
			for i := range source {
				source[i] = "> " + source[i]
			}
		}
		return between(name, meta, source, asJSON), false
	}
	if l == usualForm && meta.has("active") && meta.get("active").Text() == "" {
		meta = meta.without("active")
	}
	if c.kind == "raw" && (l != usualForm || !active(".md", meta, false)) {
		if l == quotedForm {
			for i := range source {
				source[i] = "> " + source[i]
			}
		}
		return between("raw", meta, source, asJSON), false
	}
	spoken := w.language
	rest, name, arguments, ok := w.inLanguage(source)
	if ok && l == usualForm {
		if meta = slices.Clone(meta); arguments != "" {
			meta.set("magic_args", nbformat.StringValue(arguments))
		}
		source, spoken = rest, name
	}
	if v := meta.get("language"); v.Kind() == nbformat.String && l == usualForm {
		spoken, meta = v.Text(), meta.without("language")
	}
	mark := "```"
	for _, line := range source {
		if strings.HasPrefix(line, mark) {
			mark = line[:len(line)-len(strings.TrimLeft(line, "`"))] + "`"
		}
	}
	options := spoken
	if more := writeMetadata(meta, asJSON); more != "" {
		options += " " + more
	}
	return append(append([]string{mark + options}, source...), mark), false
}

func between(name string, meta metadata, source []string, asJSON bool) []string {
	options := ""
	if title := meta.get("title"); title.Kind() == nbformat.String && !strings.ContainsAny(title.Text(), "{=") {
		options, meta = " "+title.Text(), meta.without("title")
	}
	if more := writeMetadata(meta, asJSON); more != "" {
		options += " " + more
	}
	lines := append([]string{"<!-- #" + name + options + " -->"}, source...)
	return append(lines, "<!-- #end"+name+" -->")
}

// standsAlone says whether Markdown comes back when nothing stands around it.
func (w *writer) standsAlone(source []string) bool {
	r := &reader{writer: w}
	c, _, next := r.fromMarkdown(source, 0)
	if next < len(source) || c.kind != "markdown" {
		return false
	}
	if w.LikeJupytext {
		return true
	}
	if w.regions || blank(source[0]) || blank(source[len(source)-1]) {
		return false
	}
	text := strings.Join(source, "\n")
	for _, behind := range [][]string{{"", "```python", "```"}, {"", "", "a"}, nil} {
		lines := append(slices.Clone(source), behind...)
		c, end, _ := r.fromMarkdown(lines, 0)
		if c.kind != "markdown" || c.source != text || end != len(source) {
			return false
		}
	}
	return true
}

func (w *writer) layMarkdown(c *cell) []string {
	if w.LikeJupytext {
		lines, _ := w.inMarkdown(c, usualForm)
		return lines
	}
	r := &reader{writer: w}
	var lines []string
	for l := usualForm; ; l++ {
		var plain bool
		if lines, plain = w.inMarkdown(c, l); plain || l == quotedForm {
			break
		}
		if back, end, _ := r.fromMarkdown(append(slices.Clone(lines), "", "a"), 0); back.same(c) && end == len(lines) {
			break
		}
	}
	if c.body != nil && !w.exactCells {
		body := strings.Split(*c.body, "\n")
		if back, end, _ := r.fromMarkdown(append(slices.Clone(body), "", "```python", "```"), 0); back.same(c) &&
			end == len(body) {
			return body
		}
	}
	return lines
}

// writeMarkdown writes the cells of a notebook.
func (w *writer) writeMarkdown(cells []cell) []string {
	var lines []string
	wasPlain, wasRegion := false, false
	usual := true
	for i := range cells {
		c := &cells[i]
		laid := w.layMarkdown(c)
		// jupytext looks at the text alone: a region that a person wrote into a cell is one too.
		isRegion := strings.HasPrefix(laid[0], "<!-- #")
		text := c.kind == "markdown" || c.kind == "raw" && !c.meta.has("active")
		if i > 0 && wasPlain && text && !wasRegion && !isRegion && (usual || w.LikeJupytext) {
			lines = append(lines, "")
		}
		lines = append(lines, laid...)
		blanks := 1
		usual = true
		if c.blanks >= 0 && !w.exactCells {
			blanks, usual = c.blanks, false
		}
		lines = append(lines, make([]string, blanks)...)
		wasPlain, wasRegion = text, isRegion
	}
	return lines
}

// fenceLanguage reads a line that begins code: "```python name=1".
func (r *reader) fenceLanguage(line string) (ticks, name, options string, ok bool) {
	rest := strings.TrimLeft(line, "`")
	ticks = line[:len(line)-len(rest)]
	if len(ticks) < 3 {
		return "", "", "", false
	}
	rest = strings.TrimLeft(rest, blanks)
	end := strings.IndexAny(rest, blanks)
	if strings.HasPrefix(strings.ToLower(rest), "wolfram language") {
		end = len("wolfram language")
		if end < len(rest) && !strings.ContainsRune(blanks, rune(rest[end])) {
			return "", "", "", false
		}
	}
	if end < 0 {
		end = len(rest)
	}
	name, options = rest[:end], rest[end:]
	ok = anyCase[name] || name == r.language && name != "" || slices.Contains(r.settings.languages, name) ||
		slices.Contains(r.settings.languages, strings.ToLower(name)) && name == strings.ToUpper(name)
	if ok && slices.Contains(strings.Fields(options), ".noeval") {
		return "", "", "", false
	}
	return ticks, name, options, ok
}

// fromMarkdown reads the cell that begins at a line: end is the line behind it, next the line of the next cell.
func (r *reader) fromMarkdown(lines []string, from int) (c cell, end, next int) {
	c.blanks = -1
	first := lines[from]
	if m := region(first); m != nil {
		c.kind = "markdown"
		if m[1] == "raw" {
			c.kind = "raw"
		}
		here := openRegion{&lines[0], len(lines), m[1]}
		for i := from + 1; i < len(lines) && !r.open[here]; i++ {
			if strings.HasPrefix(lines[i], "<!--") && regionEnd[m[1]].MatchString(lines[i]) {
				end = i
				break
			}
		}
		if end == 0 {
			if r.open == nil {
				r.open = map[openRegion]bool{}
			}
			r.open[here] = true
		} else {
			text := lines[from+1 : end]
			title, meta := readOptions(m[2])
			holds := false
			if title != "" {
				meta.set("title", nbformat.StringValue(title))
			}
			if m[1] == "markdown" || m[1] == "md" {
				meta.set("region_name", nbformat.StringValue(m[1]))
			}
			if held, quoted, ok := unhold(meta.without("region_name")); ok {
				meta, holds = held, true
				if quoted {
					text = slices.Clone(text)
					for i := range text {
						text[i] = strings.TrimPrefix(text[i], "> ")
					}
				}
			}
			c.meta, c.source = meta, strings.Join(text, "\n")
			if name := meta.get("language"); c.kind == "markdown" && !holds && name.Kind() == nbformat.String {
				code := c.source
				if len(text) > 0 {
					code = "\n" + code
				}
				r.withMagic(&c, name.Text(), code)
			}
			return c, end + 1, skip(lines, end+1, true)
		}
	} else if ticks, name, options, ok := r.fenceLanguage(first); ok {
		end = len(lines)
		closed := false
		for i := from + 1; i < len(lines); i++ {
			if strings.HasPrefix(lines[i], ticks) {
				end, closed = i, true
				break
			}
		}
		text := lines[from+1 : end]
		if closed {
			end++
		}
		c.kind = "code"
		curly, equals := strings.IndexByte(options, '{'), strings.IndexByte(options, '=')
		if curly >= 0 && (equals < 0 || curly < equals) {
			_, c.meta = readOptions(options)
		} else {
			c.meta = readPairs(options)
		}
		if held, _, ok := unhold(c.meta); ok {
			c.meta, c.source = held, strings.Join(text, "\n")
			return c, end, skip(lines, end, closed)
		}
		if !active(".ipynb", c.meta, true) {
			c.kind = "raw"
		}
		c.source = strings.Join(text, "\n")
		if name != r.language && (c.kind != "raw" || !sameLanguage(name, r.language)) {
			c.meta.set("language", nbformat.StringValue(name))
			code := c.source
			if len(text) > 0 {
				code = "\n" + code
			}
			r.withMagic(&c, name, code)
		}
		return c, end, skip(lines, end, closed)
	}
	c.kind = "markdown"
	end, next, explicit := r.markdownEnd(lines, from)
	c.source = strings.Join(lines[from:end], "\n")
	return c, end, skip(lines, next, explicit)
}

// region reads a line that begins a region.
func region(line string) []string {
	if !strings.HasPrefix(line, "<!--") {
		return nil
	}
	return regionLine.FindStringSubmatch(line)
}

// unhold takes the metadata of a cell out of [cellKey].
func unhold(m metadata) (held metadata, quoted, ok bool) {
	hold := m.get(cellKey)
	if hold.Kind() != nbformat.Object || hold.Get("metadata").Kind() != nbformat.Object || len(m) != 1 {
		return nil, false, false
	}
	return metadataOf(hold.Get("metadata")), hold.Get("quoted").Bool(), true
}

// skip goes over the blank lines between cells that are of neither of them.
func skip(lines []string, next int, explicit bool) int {
	isBlank := func(i int) bool { return blank(lines[i]) }
	switch {
	case next+1 < len(lines) && isBlank(next) && !isBlank(next+1):
		return next + 1
	case explicit && next+2 < len(lines) && isBlank(next) && isBlank(next+1) && !isBlank(next+2):
		return next + 2
	}
	end := next
	for end < len(lines) && isBlank(end) {
		end++
	}
	if end == len(lines) {
		return end
	}
	return next
}

// markdownEnd finds the end of Markdown: two blank lines, code, or a region.
func (r *reader) markdownEnd(lines []string, from int) (end, next int, explicit bool) {
	count := 0
	fenced, indented := "", false
	for i := from; i < len(lines); i++ {
		line := lines[i]
		isBlank := blank(line)
		if fenced != "" {
			if strings.HasPrefix(line, fenced) && (fenced != "```" || blank(line[3:]) || i == from) {
				fenced = ""
			}
			continue
		}
		if count > 0 && strings.HasPrefix(line, "    ") && !isBlank {
			indented, count = true, 0
			continue
		}
		if indented && !isBlank && !strings.HasPrefix(line, "    ") {
			indented = false
		}
		if indented {
			continue
		}
		if i > from {
			_, _, _, code := r.fenceLanguage(line)
			if code || region(line) != nil {
				if i-from > 1 && count > 0 {
					return i - 1, i, false
				}
				return i, i, false
			}
		}
		if strings.HasPrefix(line, "```") {
			if count >= 2 {
				return i - 2, i, true
			}
			fenced, count = "```", 0
			continue
		}
		switch {
		case isBlank:
			count++
		case count >= 2:
			return i - 2, i, true
		default:
			count = 0
		}
	}
	return len(lines), len(lines), false
}

// readMarkdown reads a text.
func readMarkdown(text string, o Options) *notebook {
	n := &notebook{}
	f := markdownFormat
	if after, ok := strings.CutPrefix(text, "\ufeff"); ok {
		n.mark, text = true, after
	}
	if count := strings.Count(text, "\n"); count > 0 && strings.Count(text, "\r\n") == count &&
		strings.Count(text, "\r") == count {
		n.carriage, text = true, strings.ReplaceAll(text, "\r\n", "\n")
	}
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	meta, first, from := readHeader(f, lines)
	headed := from > 0
	n.meta = meta
	if first != nil {
		n.cells = append(n.cells, *first)
	}
	w := newWriter(o, f, meta)
	r := &reader{writer: w}
	if !headed {
		r.vote(n, lines)
	}
	for from < len(lines) && lines[from] == "" {
		from++
	}
	if from > 0 {
		header := strings.Join(lines[:from], "\n") + "\n"
		n.header = &header
	}
	for from < len(lines) {
		c, end, next := r.fromMarkdown(lines, from)
		n.cells = append(n.cells, c)
		last := &n.cells[len(n.cells)-1]
		laid := r.layMarkdown(&c)
		if !slices.Equal(laid, lines[from:end]) {
			body := strings.Join(lines[from:end], "\n")
			last.body = &body
		}
		last.blanks = next - end
		from = next
	}
	for i := range n.cells {
		c := &n.cells[i]
		usual := 1
		if i+1 < len(n.cells) && c.kind == "markdown" && n.cells[i+1].kind == "markdown" {
			a := r.layMarkdown(c)
			b := r.layMarkdown(&n.cells[i+1])
			if !strings.HasPrefix(a[0], "<!-- #") && !strings.HasPrefix(b[0], "<!-- #") {
				usual = 2
			}
		}
		if i+1 == len(n.cells) {
			c.blanks++ // the newline at the end
			if !strings.HasSuffix(text, "\n") {
				c.blanks--
			}
		}
		if c.blanks == usual {
			c.blanks = -1
		}
	}
	return n
}

// vote makes the language of most fences that of a text without a header.
func (r *reader) vote(n *notebook, lines []string) {
	count := map[string]int{}
	r.language = ""
	best := "python"
	for from := 0; from < len(lines); {
		if _, name, _, ok := r.fenceLanguage(lines[from]); ok {
			name = usualToJupytext(name)
			if count[name]++; count[name] > count[best] {
				best = name
			}
		}
		_, _, next := r.fromMarkdown(lines, from)
		from = max(next, from+1)
	}
	r.language = best
	own := bare(markdownFormat)
	own.Set("main_language", nbformat.StringValue(best))
	n.meta.set("jupytext", own)
}
