package jupytext

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

// level is how far a cell is from what jupytext would write.
type level int

const (
	usualForm  level = iota // as jupytext writes it
	keptForm                // its metadata is in cellKey
	quotedForm              // its lines are quoted too
)

// hints are metadata that only say how a cell is laid out in text.
var hints = []string{"lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker", layoutKey}

// ignored are metadata that jupytext does not write by default.
var ignored = []string{
	"autoscroll", "collapsed", "scrolled", "trusted", "execution", "ExecuteTime",
	"skipline", "noskipline", "cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker", layoutKey,
}

// writer writes cells.
type writer struct {
	Options
	format
	marks    *marks
	language string // of cells that do not name theirs
	settings settings

	plainHeader bool // a raw cell of YAML stands as a cell
	jsonHeader  bool // the metadata is JSON
	regions     bool // Markdown stands between comments
	exactCells  bool // cells are written without regard to how they were laid out
}

// settings are what the notebook's metadata asks of its text.
type settings struct {
	commentMagics bool
	asJSON        bool     // metadata of cells
	quotes        string   // around markdown
	languages     []string // magics of cells in other languages, beside those that are known
	filter        string   // of the metadata of cells
}

func settingsOf(meta metadata) settings {
	own := meta.get("jupytext")
	s := settings{commentMagics: true, asJSON: own.Get("cell_metadata_json").Bool()}
	if v := own.Get("comment_magics"); v.Kind() == nbformat.Bool {
		s.commentMagics = v.Bool()
	}
	if q := own.Get("cell_markers").Text(); q == `"""` || q == "'''" || q == `r"""` || q == "r'''" || q == `R"""` {
		s.quotes = q
	}
	for _, key := range []string{"custom_cell_magics", "custom_language_magics"} {
		for name := range strings.SplitSeq(own.Get(key).Text(), ",") {
			if name = strings.TrimSpace(name); name != "" {
				s.languages = append(s.languages, name)
			}
		}
	}
	s.filter = own.Get("cell_metadata_filter").Text()
	return s
}

func newWriter(o Options, f format, meta metadata) *writer {
	w := &writer{Options: o, format: f, settings: settingsOf(meta), language: defaultLanguage(meta, f.language)}
	if !f.markdown {
		w.marks = marksOf(f.language)
	}
	return w
}

// filtered gives the metadata that is written.
func (w *writer) filtered(m metadata) metadata {
	if len(m) == 0 {
		return nil
	}
	if !w.LikeJupytext {
		return m
	}
	var include []string
	exclude := ignored
	all, none := false, false
	for word := range strings.SplitSeq(strings.ReplaceAll(w.settings.filter, " ", ""), ",") {
		switch {
		case word == "all" || word == "+all":
			all = true
		case word == "-all":
			none = true
		case strings.HasPrefix(word, "-"):
			exclude = append(slices.Clone(exclude), word[1:])
		case word != "":
			include = append(include, strings.TrimPrefix(word, "+"))
		}
	}
	var out metadata
	for _, e := range m {
		switch {
		case !validKey(e.key), slices.Contains(hints, e.key):
		case all && !slices.Contains(exclude[len(ignored):], e.key):
			out = append(out, e)
		case all:
		case e.key == "tags" && e.value.Len() == 0 && !none:
		case slices.Contains(include, e.key), !none && !slices.Contains(exclude, e.key):
			out = append(out, e)
		}
	}
	return out
}

// inLanguage takes the magic of a cell in another language from its lines.
func (w *writer) inLanguage(lines []string) (rest []string, name, arguments string, ok bool) {
	first := lines[0]
	if w.language == "csharp" {
		name, ok = strings.CutPrefix(first, "#!")
		if name = strings.TrimSpace(name); !ok || !cellLanguages[name] {
			return lines, "", "", false
		}
		return lines[1:], name, "", true
	}
	magic, ok := strings.CutPrefix(first, "%%")
	if !ok || w.language == "go" && (blank(magic) || strings.HasPrefix(strings.TrimLeft(magic, blanks), "-")) {
		return lines, "", "", false
	}
	name, arguments, _ = strings.Cut(magic, " ")
	if name == "" || !cellLanguages[name] && !slices.Contains(w.settings.languages, name) {
		return lines, "", "", false
	}
	return lines[1:], name, arguments, true
}

// kept is the metadata in a marker of a cell that the format does not hold.
func kept(c *cell, quoted bool) metadata {
	v := nbformat.ObjectValue()
	v.Set("metadata", c.meta.object())
	if quoted {
		v.Set("quoted", nbformat.BoolValue(true))
	}
	return metadata{{cellKey, v}}
}

func (w *writer) marker(indent, options string) string {
	line := "%%" + options
	if options != "" && options[0] != '%' {
		line = "%% " + options
	}
	return indent + w.commentLine(line)
}

// percent writes a cell without what follows it.
func (w *writer) percent(c *cell, l level) (mark string, body []string, live bool) {
	kind := c.kind
	if kind == "code" {
		kind = ""
	}
	lines := strings.Split(c.source, "\n")
	if l == quotedForm {
		mark = w.marker("", writeOptions(kept(c, true), kind, false))
		for _, line := range lines {
			body = append(body, w.commentLine(strings.TrimSuffix("> "+line, " ")))
			if strings.HasSuffix(line, " ") {
				body[len(body)-1] = w.commentLine("> " + line)
			}
		}
		return mark, body, false
	}
	meta := w.filtered(c.meta)
	spoken := w.language
	inOther := false
	if l == keptForm {
		meta = kept(c, false)
	} else if rest, name, arguments, ok := w.inLanguage(lines); ok {
		// As in jupytext, cells of Markdown may be in a language too.
		meta = slices.Clone(meta)
		if arguments != "" {
			meta.set("magic_args", nbformat.StringValue(arguments))
		}
		meta.set("language", nbformat.StringValue(name))
		lines, spoken, inOther = rest, name, true
	}
	if name := c.meta.get("language"); !inOther && l == usualForm && name.Kind() == nbformat.String {
		spoken = name.Text()
	}
	code := c.kind == "code" || l == usualForm && (c.kind == "raw" && c.meta.has("active") &&
		c.meta.get("active").Text() != "" && meta.has("active") || activeTag(meta))
	live = c.kind == "code"
	if l == usualForm {
		live = active(w.extension, meta, sameLanguage(spoken, w.language))
		if c.kind == "raw" && meta.get("active").Text() == "" && !activeTag(meta) {
			meta, live = meta.without("active"), false
		}
	}
	if code {
		kind = ""
	}
	asJSON := w.settings.asJSON && l == usualForm
	if !code || !live {
		mark = w.marker("", writeOptions(meta, kind, asJSON))
		if len(lines) > 0 {
			body = w.asComments(c, lines, code, l)
		}
		return mark, body, false
	}
	indent := ""
	if len(lines) > 0 && !blank(lines[0]) {
		indent = lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], blanks))]
	}
	mark = w.marker(indent, writeOptions(meta, kind, asJSON))
	if len(lines) == 1 && lines[0] == "" {
		return mark, nil, true
	}
	return mark, w.code(lines, spoken), true
}

func sameLanguage(a, b string) bool { return usualToJupytext(a) == usualToJupytext(b) }

// code writes live code: magics are comments.
func (w *writer) code(lines []string, spoken string) []string {
	sign := commentOf(spoken)
	if sign == "" {
		sign = w.comment
	}
	q := newQuotes(spoken)
	body := make([]string, len(lines))
	next := false
	for i, line := range lines {
		quoted := q.quoted()
		written := line
		switch {
		case !quoted && (next || isMagic(line, spoken, w.settings.commentMagics)):
			written = commented(line, sign, next)
			next = spoken == "python" && continued(line)
		case !quoted && !w.LikeJupytext && (w.marks.begins(line) || w.marks.isEscaped(line)):
			written = commented(line, w.comment, false)
			next = false
		case w.LikeJupytext:
			// jupytext goes on where a string begins in a magic's line
		default:
			next = false
		}
		if w.LikeJupytext {
			q.read(line)
		} else {
			q.read(written)
		}
		body[i] = written
	}
	return body
}

// asComments writes text, or code that is not live.
func (w *writer) asComments(c *cell, lines []string, code bool, l level) []string {
	quotes := w.settings.quotes
	if q := c.quotes; q != "" {
		quotes = q
	}
	if left, right, ok := around(quotes, lines); ok && c.kind == "markdown" && l == usualForm {
		body := slices.Clone(lines)
		body[0] = left + body[0]
		body[len(body)-1] += right
		return strings.Split(strings.Join(body, "\n"), "\n")
	}
	var fences *fences
	if !code && !w.markdown {
		fences = newFences(lines)
	}
	body := make([]string, len(lines))
	for i, line := range lines {
		body[i] = w.commentLine(line)
		if fences.inside(i) || w.LikeJupytext || w.suffix != "" {
			continue
		}
		if w.marks.begins(body[i]) || w.marks.isEscaped(body[i]) {
			body[i] = w.comment + " " + body[i]
		}
	}
	return body
}

// around gives the quotes around the lines of a markdown cell.
func around(marker string, lines []string) (left, right string, ok bool) {
	if marker == "" {
		return "", "", false
	}
	left, right, both := strings.Cut(marker, ",")
	if !both {
		left, right = marker+"\n", "\n"+strings.TrimLeft(marker, "rR")
	}
	bare := strings.TrimLeft(left, "rR")
	if len(bare) < 3 || len(right) < 3 || bare[:3] != right[len(right)-3:] || bare[:3] != `"""` && bare[:3] != "'''" {
		return "", "", false
	}
	if bare == left && strings.Contains(strings.Join(lines, "\n"), `\`) {
		left = "r" + left
	}
	return left, right, true
}

// fences knows the lines of text between fences, in which a marker is none.
type fences struct{ in []bool }

func newFences(lines []string) *fences {
	some := false
	for _, line := range lines {
		some = some || strings.Contains(line, "```") || strings.Contains(line, "~~~")
	}
	if !some {
		return nil
	}
	// The longest fence of each sign that can end a block, from each line on.
	longest := make([][2]int, len(lines)+1)
	for i := len(lines) - 1; i >= 0; i-- {
		longest[i] = longest[i+1]
		if sign, n, rest := fence(lines[i]); n > 0 && blank(rest) {
			longest[i][sign] = max(longest[i][sign], n)
		}
	}
	f := &fences{in: make([]bool, len(lines))}
	openSign, open := 0, 0
	for i, line := range lines {
		sign, n, rest := fence(line)
		switch {
		case open > 0:
			f.in[i] = true
			if n >= open && sign == openSign && blank(rest) {
				open = 0
			}
		case n > 0 && (sign == 1 || !strings.Contains(rest, "`")) && longest[i+1][sign] >= n:
			openSign, open = sign, n
			f.in[i] = true
		}
	}
	return f
}

func (f *fences) inside(i int) bool { return f != nil && f.in[i] }

// fence finds the fence that a line begins with: 0 for backticks, 1 for tildes, its length, and what follows.
func fence(line string) (sign, length int, rest string) {
	rest = strings.TrimLeft(line, " ")
	if len(line)-len(rest) > 3 || rest == "" || rest[0] != '`' && rest[0] != '~' {
		return 0, 0, ""
	}
	if rest[0] == '~' {
		sign = 1
	}
	after := strings.TrimLeft(rest, rest[:1])
	if length = len(rest) - len(after); length < 3 {
		return 0, 0, ""
	}
	return sign, length, after
}

// trailing counts the newlines at the end of a cell's source that stand as blank lines in the text: those of live code.
func trailing(body []string) (t int) {
	for t < len(body) && body[len(body)-1-t] == "" {
		t++
	}
	if t == len(body) && t > 0 {
		t-- // "\n" is two lines
	}
	return t
}

// layout is a cell as it stands in a text.
type layout struct {
	lines  []string // its marker and its lines, without blank lines behind them
	blanks int      // behind it; -1: as many as usual
}

// lay writes a cell as it was laid out, or as it is usual.
func (w *writer) lay(c *cell, first, last bool) layout {
	if w.LikeJupytext {
		mark, body, _ := w.percent(c, usualForm)
		return layout{append([]string{mark}, body...), c.blanks}
	}
	var mark string
	var body []string
	live := false
	for l := usualForm; ; l++ {
		if _, name, _, ok := w.inLanguage(strings.Split(c.source, "\n")); l == keptForm && ok && name != w.language {
			continue // its lines are no code of the script's language
		}
		mark, body, live = w.percent(c, l)
		if l == quotedForm || w.holds(c, mark, body, last) {
			break
		}
	}
	if !w.exactCells && (c.mark != nil || c.body != nil) && (first || c.mark == nil || *c.mark != "") {
		m, b := mark, body
		if c.mark != nil {
			m = *c.mark
		}
		if c.body != nil {
			b = strings.Split(*c.body, "\n")
			if *c.body == "" {
				b = nil
			}
		}
		if m != mark || !slices.Equal(b, body) {
			if w.holds(c, m, b, last) {
				mark, body = m, b
			}
		}
	}
	blanks := c.blanks
	if blanks < 0 || blanks > 2 && live || w.exactCells {
		blanks = -1
	}
	if t := trailing(body); t > 0 {
		body, blanks = body[:len(body)-t], t+2
		if len(body) == 1 && body[0] == "" {
			body = nil
		}
	}
	if mark == "" {
		return layout{body, blanks}
	}
	return layout{append([]string{mark}, body...), blanks}
}

// holds says whether a cell comes back from its text. The last one may have a string without an end.
func (w *writer) holds(c *cell, mark string, body []string, last bool) bool {
	usual := c.mark == nil && c.body == nil && c.kind == "code" && len(c.meta) == 0
	if usual && len(body) == 1 && body[0] == c.source && plainLine(body[0]) {
		return true
	}
	for _, line := range body {
		if strings.Contains(line, "\n") {
			return false
		}
	}
	if strings.Contains(mark, "\n") {
		return false
	}
	lines := make([]string, 0, len(body)+5)
	if mark != "" || c.mark == nil {
		lines = append(lines, mark)
	}
	if len(lines) > 0 && !w.marks.begins(lines[0]) {
		return false
	}
	t := trailing(body)
	b := body
	if t > 0 {
		b = body[:len(body)-t]
		if len(b) == 1 && b[0] == "" {
			b = nil
		}
		lines = append(lines, b...)
		lines = append(lines, make([]string, t+2)...)
	} else {
		lines = append(append(lines, b...), "")
	}
	end := len(lines)
	if !last {
		lines = append(lines, w.commentLine("%%"), "")
	}
	r := &reader{writer: w}
	back, next := r.cell(lines, 0)
	return next == end && back.same(c)
}

func plainLine(line string) bool {
	for i := range len(line) {
		c := line[i]
		if c < ' ' || c == '%' || c == '!' || c == '?' || c == '"' || c == '\'' || c == '#' || c >= 0x80 {
			return false
		}
	}
	return line != "" && line[0] != ' ' && (line[0] < 'a' || !mayBeMagic(line))
}

// text writes a notebook.
func (w *writer) write(n *notebook) string {
	first, header, in := w.headerOf(n)
	cells := n.cells[in:]
	if w.markdown {
		return w.join(n, in, first, header, w.writeMarkdown(cells))
	}
	laid := make([]layout, len(cells))
	total := len(first) + len(header) + 8
	for i := range cells {
		laid[i] = w.lay(&cells[i], i == 0 && in == 0, i == len(cells)-1)
		total += len(laid[i].lines) + max(laid[i].blanks, 2)
	}
	lines := make([]string, total)
	at := total
	put := func(b []string) {
		at -= len(b)
		copy(lines[at:], b)
	}
	for _, l := range slices.Backward(laid) {
		blanks := l.blanks
		if blanks < 0 {
			blanks = blankLines(l.lines, lines[at:], w.extension)
		}
		at -= blanks
		put(l.lines)
	}
	return w.join(n, in, first, header, lines[at:])
}

// join puts the lines before the first cell and those of the cells together.
func (w *writer) join(n *notebook, in int, first, header, lines []string) string {
	before := append(slices.Clone(first), header...)
	if len(header) > 0 && len(lines) > 0 {
		behind := 1
		if in == 1 && n.cells[0].blanks >= 0 && n.cells[0].blanks <= 1 && (w.LikeJupytext || !w.exactCells) {
			behind = n.cells[0].blanks
		} else if w.LikeJupytext {
			behind = blankLines(header, lines, w.extension)
		}
		before = append(before, make([]string, behind)...)
	}
	text := strings.Join(lines, "\n")
	if n.header != nil && !w.LikeJupytext && !w.exactCells && w.sameHeader(*n.header, n) {
		text = *n.header + text
	} else if len(before) > 0 {
		text = strings.Join(before, "\n") + "\n" + text
	}
	if text == "" {
		return ""
	}
	if (w.LikeJupytext || w.exactCells) && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// sameHeader says whether the lines before the first cell say what the notebook's metadata says.
func (w *writer) sameHeader(header string, n *notebook) bool {
	if !strings.HasSuffix(header, "\n") {
		return false
	}
	meta, first, body := readHeader(w.format, strings.Split(header, "\n"))
	lines := strings.Split(header, "\n")
	for _, line := range lines[min(body, len(lines)):] {
		if line != "" {
			return false
		}
	}
	return sameMetadata(meta, n.meta) && (first == nil || len(n.cells) > 0 && first.same(&n.cells[0]))
}
