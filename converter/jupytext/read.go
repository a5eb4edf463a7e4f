package jupytext

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

// reader reads cells as the writer would write them.
type reader struct {
	*writer
	open map[openRegion]bool
}

// openRegion is a region of a text that has no end in it: those of the same name behind it have none either.
type openRegion struct {
	first *string
	lines int
	name  string
}

// span finds the end of the cell that begins at a line: the line of the next marker, and the markers that are none.
func (r *reader) span(lines []string, from int, kind, spoken string) int {
	i := from
	if i < len(lines) && r.marks.begins(lines[i]) {
		i++
	}
	var fences *fences
	begin := i
	if kind != "code" {
		end := i
		for some := false; end < len(lines) && strings.HasPrefix(lines[end], r.comment); end++ {
			// Before a fence begins, a marker ends the cell, and nothing behind it matters.
			if some = some || strings.Contains(lines[end], "```") || strings.Contains(lines[end], "~~~"); !some &&
				r.marks.begins(lines[end]) {
				break
			}
		}
		text := make([]string, end-i)
		for j := range text {
			text[j] = r.uncommentLine(lines[i+j])
		}
		fences = newFences(text)
	}
	q := newQuotes(spoken)
	for ; i < len(lines); i++ {
		quoted := q.quoted()
		q.read(lines[i])
		if quoted || fences != nil && i-begin < len(fences.in) && fences.in[i-begin] {
			continue
		}
		if i > from && r.marks.begins(lines[i]) {
			return i
		}
	}
	return len(lines)
}

// options reads a marker.
func (r *reader) options(line string) (kind string, m metadata) {
	_, text, ok := strings.Cut(line, "%%")
	if !ok || !r.marks.start.MatchString(line) {
		return "", nil // "In[1]"
	}
	if r.suffix != "" {
		text = strings.TrimSuffix(strings.TrimRight(text, blanks), r.suffix)
	}
	title, m := readOptions(text)
	for _, k := range []string{"markdown", "raw", "md"} {
		if strings.Contains(title, "["+k+"]") {
			title = strings.TrimSpace(strings.ReplaceAll(title, "["+k+"]", ""))
			kind = k
			if k == "md" {
				m.set("region_name", nbformat.StringValue("md"))
				kind = "markdown"
			}
			break
		}
	}
	if depth := len(title) - len(strings.TrimLeft(title, "%")); depth > 0 {
		m.set("cell_depth", nbformat.IntValue(depth))
		title = strings.TrimSpace(title[depth:])
	}
	if title != "" {
		m.set("title", nbformat.StringValue(title))
	}
	return kind, m
}

// cell reads the cell that begins at a line, without how it is laid out apart from the blank lines behind it; next is
// the line of the next one.
func (r *reader) cell(lines []string, from int) (c cell, next int) {
	c.kind = "code"
	body := from
	var m metadata
	if r.marks.begins(lines[from]) {
		var kind string
		kind, m = r.options(lines[from])
		body++
		if kind != "" {
			c.kind = kind
		}
	}
	hold := m.get(cellKey)
	if hold.Kind() != nbformat.Object || hold.Get("metadata").Kind() != nbformat.Object || len(m) != 1 {
		hold = nil
	}
	spoken := ""
	if name := m.get("language"); hold == nil && name.Kind() == nbformat.String {
		spoken = name.Text()
	}
	runs := false
	if c.kind == "code" && hold == nil && !active(".ipynb", m, true) {
		c.kind = "raw"
		runs = active(r.extension, m, false)
		if m.get("active").Kind() == nbformat.String && m.get("active").Text() == "" {
			m = m.without("active")
		}
	}
	language := spoken
	if language == "" || c.kind != "code" {
		language = r.language
	}
	next = r.span(lines, from, c.kind, language)
	text := lines[body:next]

	// The blank lines behind it. One or two part it from the next cell; behind live code
	// all but two of more are its own.
	n := 0
	for n < len(text) && text[len(text)-1-n] == "" {
		n++
	}
	text = text[:len(text)-n]
	c.blanks = n
	own := 0
	if live := c.kind == "code" && hold == nil && active(r.extension, m, true) &&
		(m.has("active") || spoken == "" || sameLanguage(spoken, r.language)) ||
		c.kind == "code" && hold != nil && !hold.Get("quoted").Bool() || runs; n > 2 && live {
		own, c.blanks = n-2, -1
	}

	switch {
	case hold != nil:
		c.meta = metadataOf(hold.Get("metadata"))
		switch {
		case hold.Get("quoted").Bool():
			text = r.unquoted(text)
		case c.kind == "code":
			text = r.live(text, r.language)
		default:
			text = r.fromComments(text, true)
		}
	case c.kind == "code" && (!active(r.extension, m, true) ||
		!m.has("active") && spoken != "" && !sameLanguage(spoken, r.language)):
		text = r.uncommentAll(text)
	case c.kind == "code":
		text = r.live(text, language)
	case runs:
		text = slices.Clone(text)
	default:
		if inside, quotes, ok := r.fromQuotes(text); ok && c.kind == "markdown" && own == 0 {
			text, c.quotes = inside, quotes
		} else {
			text = r.fromComments(text, c.kind != "raw" || !m.has("active"))
		}
	}
	if hold == nil {
		c.meta = m
	}
	c.source = strings.Join(text, "\n")
	if own > 0 {
		c.source += strings.Repeat("\n", own)
	}
	if spoken != "" && hold == nil {
		text := c.source
		if len(lines[body:next]) > n || own > 0 {
			text = "\n" + text
		}
		r.withMagic(&c, spoken, text)
	}
	return c, next
}

// withMagic puts the magic of a cell in another language before its lines.
func (r *reader) withMagic(c *cell, spoken, text string) {
	sign := "%%"
	if r.language == "csharp" {
		sign = "#!"
	}
	if !cellLanguages[spoken] && !slices.Contains(r.settings.languages, spoken) ||
		c.meta.has("magic_args") && c.meta.get("magic_args").Kind() != nbformat.String {
		return
	}
	if spoken == r.language {
		c.meta = c.meta.without("language")
		return
	}
	arguments := c.meta.get("magic_args").Text()
	if arguments != "" {
		arguments = " " + arguments
	}
	c.source = sign + spoken + arguments + text
	c.meta = c.meta.without("language", "magic_args")
}

// live reads code: magics are comments.
func (r *reader) live(lines []string, spoken string) []string {
	sign := commentOf(spoken)
	if sign == "" {
		sign = r.comment
	}
	q := newQuotes(spoken)
	out := make([]string, len(lines))
	next := false
	for i, line := range lines {
		quoted := q.quoted()
		q.read(line)
		out[i] = line
		switch {
		case !quoted && (next || isMagic(line, spoken, r.settings.commentMagics)):
			out[i] = uncommented(line, sign)
			next = spoken == "python" && continued(line)
			continue
		case !quoted && r.marks.isEscaped(line):
			out[i] = uncommented(line, r.comment)
		}
		next = false
	}
	return out
}

func (r *reader) uncommentAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = r.unescape(line, false)
	}
	return out
}

// unescape reads a line that is a comment.
func (r *reader) unescape(line string, fenced bool) string {
	if !fenced && r.suffix == "" && r.marks.isEscaped(line) {
		line = strings.TrimPrefix(line, r.comment+" ")
	}
	return r.uncommentLine(line)
}

func (r *reader) fromComments(lines []string, text bool) []string {
	if !text {
		return r.uncommentAll(lines)
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = r.uncommentLine(line)
	}
	fences := newFences(out)
	for i, line := range lines {
		if !fences.inside(i) {
			out[i] = r.unescape(line, false)
		}
	}
	return out
}

// fromQuotes reads a markdown cell that is a string.
func (r *reader) fromQuotes(lines []string) (inside []string, marker string, ok bool) {
	if r.extension != ".py" || len(lines) == 0 {
		return nil, "", false
	}
	text := strings.TrimSpace(strings.Join(lines, "\n"))
	prefix := ""
	if strings.HasPrefix(text, "r") || strings.HasPrefix(text, "R") {
		prefix, text = text[:1], text[1:]
	}
	for _, quote := range []string{`"""`, "'''"} {
		if len(text) < 6 || !strings.HasPrefix(text, quote) || !strings.HasSuffix(text, quote) {
			continue
		}
		text = text[3 : len(text)-3]
		left, right := prefix+quote, quote
		if after, ok := strings.CutPrefix(text, "\n"); ok {
			text, left = after, left+"\n"
		}
		if before, ok := strings.CutSuffix(text, "\n"); ok {
			text, right = before, "\n"+right
		}
		if strings.HasSuffix(left, "\n") && strings.HasPrefix(right, "\n") {
			return strings.Split(text, "\n"), left[:len(left)-1], true
		}
		return strings.Split(text, "\n"), left + "," + right, true
	}
	return nil, "", false
}

// unquoted reads lines that begin with "> ".
func (r *reader) unquoted(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		line = r.uncommentLine(line)
		if after, ok := strings.CutPrefix(line, "> "); ok {
			line = after
		} else {
			line = strings.TrimPrefix(line, ">")
		}
		out[i] = line
	}
	return out
}

// read reads a text.
func read(text string, o Options, f format) *notebook {
	n := &notebook{}
	if after, ok := strings.CutPrefix(text, "\ufeff"); ok {
		n.mark, text = true, after
	}
	if count := strings.Count(text, "\n"); count > 0 && strings.Count(text, "\r\n") == count &&
		strings.Count(text, "\r") == count {
		n.carriage, text = true, strings.ReplaceAll(text, "\r\n", "\n")
	}
	lines := strings.Split(text, "\n")
	meta, first, from := readHeader(f, lines)
	n.meta = meta
	if first != nil {
		n.cells = append(n.cells, *first)
	}
	if text == "" {
		return n
	}
	for from < len(lines)-1 && lines[from] == "" {
		from++
	}
	r := &reader{writer: newWriter(o, f, meta)}
	if from == len(lines)-1 && lines[from] == "" {
		from++
	}
	if from > 0 {
		header := strings.Join(lines[:from], "\n") + "\n"
		if from == len(lines) {
			header = text
		}
		n.header = &header
	}
	for from < len(lines) {
		c, next := r.cell(lines, from)
		n.cells = append(n.cells, c)
		r.note(&n.cells[len(n.cells)-1], lines, from, next)
		from = next
	}
	return n
}

// note keeps how a cell stands in the text, where that is not how it would be written.
func (r *reader) note(c *cell, lines []string, from, next int) {
	text := lines[from:next:next]
	own := 0
	for len(text) > 0 && text[len(text)-1] == "" {
		text = text[:len(text)-1]
		own++
	}
	if own -= 2; c.blanks >= 0 {
		own = 0
	}
	plain := *c
	plain.mark, plain.body = nil, nil
	usual := r.lay(&plain, from == 0, next == len(lines))
	if c.quotes != "" {
		// Other cells of the notebook may stand in quotes too.
		plain.quotes = ""
		if other := r.lay(&plain, from == 0, next == len(lines)); slices.Equal(other.lines, text) {
			c.quotes, usual = "", other
		}
	}
	mark, body := "", text
	if len(text) > 0 && r.marks.begins(text[0]) {
		mark, body = text[0], text[1:]
	}
	if len(usual.lines) == 0 || mark != usual.lines[0] {
		c.mark = &mark
	}
	if len(usual.lines) == 0 || !slices.Equal(body, usual.lines[1:]) {
		b := strings.Join(body, "\n") + strings.Repeat("\n", own)
		c.body = &b
	}
	if c.blanks >= 0 {
		expected := blankLines(text, lines[next:], r.extension)
		if next == len(lines) {
			expected = 1
		}
		if len(text) > 0 && expected == c.blanks {
			c.blanks = -1
		}
	}
}

// Source is a cell of a script.
type Source struct {
	Kind   string // "code", "markdown" or "raw"
	Text   string
	Marked bool // a marker begins it
}

// Sources reads the cells of a script of Python and nothing else. Where magics is false, comments that are like magics
// are comments, as in jupytext's format hydrogen.
func Sources(text string, magics bool) []Source {
	f := percentFormat(languages[0])
	lines := strings.Split(text, "\n")
	meta, _, from := readHeader(f, lines)
	r := &reader{writer: newWriter(Options{}, f, meta)}
	r.settings.commentMagics = magics
	var sources []Source
	for from < len(lines) {
		marked := r.marks.begins(lines[from])
		c, next := r.cell(lines, from)
		sources = append(sources, Source{c.kind, c.source, marked})
		from = next
	}
	return sources
}
