package nbformat

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes documents by chance: valid ones, and with broken ones with a few mistakes.
type generator struct {
	*rand.Rand
	broken bool
	major  int
	minor  int
	ids    int
}

func newGenerator(seed uint64) *generator { return &generator{Rand: rand.New(rand.NewPCG(seed, 17))} }

func (g *generator) one(in int) bool { return g.IntN(in) == 0 }

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

// slip says whether to make a mistake here.
func (g *generator) slip() bool { return g.broken && g.one(60) }

func (g *generator) text() string {
	var b strings.Builder
	for range g.IntN(5) {
		b.WriteString(pick(g, "x = 1", "é", "😀", "\u2028", "\v", "\x1c", "\r\n", "\r", "\n", "\n", "\n",
			"\t", `"\`, "\x00", "\x7f", "\u0085", "\u007f", " ", "print()", "\uffff", "\u00a0"))
	}
	return b.String()
}

func (g *generator) string() *Value { return StringValue(g.text()) }

// json is any value.
func (g *generator) json(depth int) *Value {
	kind := g.IntN(8)
	if depth == 0 {
		kind = g.IntN(6)
	}
	switch kind {
	case 0:
		return NullValue()
	case 1:
		return BoolValue(g.one(2))
	case 2:
		return IntValue(g.IntN(5) - 1)
	case 3:
		v := IntValue(0)
		v.text = pick(g, "1.0", "-0", "-0.0", "1e5", "1E+16", "1e15", "1.5e-7", "0.0001",
			"0.00001", "123456789012345678901234567890", "1e400", "NaN", "Infinity",
			"-Infinity", "0.1", "3.141592653589793", "1e22", "5e-324", "2.50")
		return v
	case 6:
		v := ArrayValue()
		for range g.IntN(4) {
			v.Append(g.json(depth - 1))
		}
		return v
	case 7:
		v := ObjectValue()
		for range g.IntN(4) {
			v.Set(pick(g, "a", "b", "name", "é", "tags", "text", "A", "trusted", g.text()), g.json(depth-1))
		}
		return v
	}
	return g.string()
}

func (g *generator) wrong(v *Value) *Value {
	if g.slip() {
		return g.json(2)
	}
	return v
}

// multiline is a string, or a list as a tool of the version could have written it.
func (g *generator) multiline() *Value {
	text := g.text()
	if g.one(4) {
		return g.wrong(StringValue(text))
	}
	lines := StringsValue(splitLines(text, g.major > 3 || g.major == 3 && !g.one(3))...)
	if lines.Len() > 0 && g.slip() {
		lines.Replace(0, g.json(1))
	}
	if g.one(8) {
		lines.Append(StringValue(g.text()))
	}
	return g.wrong(lines)
}

func (g *generator) bundle() *Value {
	v := ObjectValue()
	for range g.IntN(4) {
		switch mime := pick(g, "text/plain", "text/html", "image/png", "image/svg+xml", "application/javascript",
			"application/json", "application/x+json", "application/vnd.a.v1+json", "text/x+json", "a/b"); {
		case strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "json"):
			v.Set(mime, g.json(3))
		default:
			v.Set(mime, g.multiline())
		}
	}
	return g.wrong(v)
}

func (g *generator) metadata() *Value {
	v := g.json(2)
	if v.Kind() != Object || v.Has("name") || v.Has("tags") {
		v = ObjectValue()
	}
	if g.one(3) {
		v.Set("tags", g.wrong(StringsValue(pick(g, []string{"a"}, []string{"a", "é"}, nil, []string{"a"})...)))
		if g.slip() {
			v.Set("tags", StringsValue(pick(g, []string{"a", "a"}, []string{"a,b"}, []string{""})...))
		}
	}
	set := func(key string, value *Value) {
		if g.one(6) {
			v.Set(key, g.wrong(value))
		}
	}
	set("name", StringValue(pick(g, "n", "a b")))
	set("collapsed", BoolValue(g.one(2)))
	set("scrolled", pick(g, StringValue("auto"), BoolValue(true)))
	set("jupyter", g.object("source_hidden", BoolValue(true)))
	set("format", StringValue("text/x-rst"))
	set("execution", g.object("iopub.status.busy", StringValue("2020-01-01T00:00:00Z")))
	set("trusted", BoolValue(true))
	if g.slip() {
		v.Set("scrolled", pick(g, IntValue(1), IntValue(0), IntValue(2), StringValue("x"), NullValue()))
	}
	if g.slip() {
		v.Set("name", pick(g, StringValue(""), StringValue("a\n"), StringValue("a\nb"), IntValue(3)))
	}
	return g.wrong(v)
}

func (g *generator) object(pairs ...any) *Value {
	v := ObjectValue()
	for i := 0; i < len(pairs); i += 2 {
		if !g.slip() {
			v.Set(pairs[i].(string), g.wrong(pairs[i+1].(*Value)))
		}
	}
	if g.slip() {
		v.Set(pick(g, "id", "extra", "source", "é"), g.json(2))
	}
	return v
}

func (g *generator) count() *Value {
	if g.slip() {
		return pick(g, IntValue(-1), BoolValue(true), StringValue("1"), &Value{kind: Number, text: "1.0"})
	}
	return pick(g, NullValue(), IntValue(g.IntN(50)))
}

func (g *generator) kind(kind string) *Value {
	if g.slip() {
		return pick(g, StringValue("other"), StringValue("code"), StringValue("stream"), IntValue(1))
	}
	return StringValue(kind)
}

func (g *generator) traceback() *Value { return StringsValue(g.text(), g.text()) }

func (g *generator) output() *Value {
	old := g.major < 4
	switch g.IntN(4) {
	case 0:
		if old {
			return g.object("output_type", g.kind("stream"), "stream", StringValue("stderr"), "text", g.multiline())
		}
		return g.object("output_type", g.kind("stream"), "name", StringValue("stdout"), "text", g.multiline())
	case 1:
		return g.object("output_type", g.kind(map[bool]string{true: "pyerr", false: "error"}[old]),
			"ename", g.string(), "evalue", g.string(), "traceback", g.traceback())
	case 2:
		if old {
			return g.oldData(g.object("output_type", g.kind("pyout"), "prompt_number", IntValue(g.IntN(9))))
		}
		return g.object("output_type", g.kind("execute_result"), "data", g.bundle(), "metadata", g.metadata(),
			"execution_count", g.count())
	}
	if old {
		return g.oldData(g.object("output_type", g.kind("display_data")))
	}
	return g.object("output_type", g.kind("display_data"), "data", g.bundle(), "metadata", g.metadata())
}

func (g *generator) oldData(v *Value) *Value {
	for range g.IntN(4) {
		v.Set(pick(g, "text", "html", "svg", "latex", "javascript"), g.multiline())
	}
	if g.one(3) {
		v.Set("png", StringValue("iVBORw0KGgo=\n"))
	}
	if g.one(4) {
		v.Set("json", StringValue(pick(g, `{"b": [1, 2.0], "a": null}`, `"x"`, "[1,\n2]", "1e5")))
	}
	if g.major == 3 && g.one(4) {
		v.Set("metadata", g.object("png", ObjectValue()))
	}
	if g.slip() {
		v.Set(pick(g, "a/b", "a/b.c", "/", "é/x", "pdf"), g.multiline())
	}
	return v
}

func (g *generator) outputs() *Value {
	v := ArrayValue()
	for range g.IntN(3) {
		v.Append(g.wrong(g.output()))
	}
	return v
}

func (g *generator) cell() *Value {
	if g.major < 4 {
		return g.oldCell()
	}
	kind := pick(g, "code", "code", "markdown", "raw")
	v := g.object("cell_type", g.kind(kind), "metadata", g.metadata(), "source", g.multiline())
	if kind == "code" {
		if !g.slip() {
			v.Set("outputs", g.wrong(g.outputs()))
		}
		if !g.slip() {
			v.Set("execution_count", g.count())
		}
	} else if g.one(4) && g.major == 4 && g.minor > 0 {
		v.Set("attachments", g.wrong(g.object("a.png", g.bundle())))
	}
	if g.minor >= 5 && !g.slip() {
		g.ids++
		v.Set("id", StringValue(fmt.Sprintf("cell-%d_x", g.ids)))
		if g.slip() {
			v.Set("id", pick(g, StringValue("cell-1_x"), StringValue(""), StringValue("a b"), StringValue("é"),
				StringValue(strings.Repeat("a", 65)), StringValue(strings.Repeat("a", 64)), StringValue("a\n"),
				IntValue(3), NullValue()))
		}
	}
	return g.wrong(v)
}

func (g *generator) oldCell() *Value {
	if g.major == 1 {
		if g.one(2) {
			return g.object("cell_type", StringValue("text"), "text", g.string())
		}
		return g.object("cell_type", StringValue("code"), "code", g.string(), "prompt_number", IntValue(3))
	}
	var v *Value
	switch kind := pick(g, "code", "code", "markdown", "raw", "html", "heading"); {
	case kind == "code":
		v = g.object("cell_type", g.kind("code"), "input", g.multiline(), "language", StringValue("python"),
			"outputs", g.outputs())
		if g.one(2) {
			v.Set("collapsed", BoolValue(g.one(2)))
		}
		if g.one(2) {
			v.Set("prompt_number", g.count())
		}
	case kind == "heading" && g.major == 3:
		v = g.object("cell_type", g.kind("heading"), "source", g.multiline(), "level", IntValue(1+g.IntN(6)))
	default:
		v = g.object("cell_type", g.kind(kind), "source", g.multiline())
	}
	if g.major == 3 && g.one(2) {
		v.Set("metadata", g.metadata())
	}
	return g.wrong(v)
}

// notebook makes a document of a version.
func (g *generator) notebook(major, minor int) *Value {
	g.major, g.minor, g.ids = major, minor, 0
	cells := ArrayValue()
	for range g.IntN(5) {
		cells.Append(g.cell())
	}
	if major == 1 {
		return g.object("cells", cells)
	}
	metadata := g.metadata()
	if metadata.Kind() == Object {
		metadata.Delete("name")
		metadata.Delete("tags")
		set := func(key string, v *Value) {
			if g.one(4) {
				metadata.Set(key, g.wrong(v))
			}
		}
		set("kernelspec", g.object("name", StringValue("python3"), "display_name", StringValue("Python 3")))
		set("language_info", g.object("name", StringValue("python"),
			"codemirror_mode", g.object("version", IntValue(3))))
		set("title", StringValue("T"))
		set("authors", ArrayValue(g.object("name", StringValue("A"))))
		set("orig_nbformat", IntValue(3))
		set("signature", StringValue("sha256:"))
		set("name", StringValue("N"))
	}
	v := g.object("metadata", metadata, "nbformat_minor", IntValue(minor))
	v.Set("nbformat", IntValue(major))
	if major == 4 {
		v.Set("cells", cells)
		return v
	}
	v.Set("worksheets", ArrayValue(g.object("cells", cells, "metadata", ObjectValue())))
	if major == 2 {
		v.Delete("nbformat_minor")
	}
	if g.one(4) && major == 3 {
		v.Set("orig_nbformat", IntValue(2))
	}
	return v
}

// write writes a value with blanks, escapes and key orders by chance.
func (g *generator) write(v *Value) string {
	var b strings.Builder
	g.value(&b, v)
	return pick(g, "", "", " ", "\n") + b.String() + pick(g, "", "\n", "\r\n")
}

func (g *generator) blank(b *strings.Builder) {
	b.WriteString(pick(g, "", "", "", " ", "\n", "\t", "\r\n  "))
}

func (g *generator) value(b *strings.Builder, v *Value) {
	open, shut := "[", "]"
	switch v.Kind() {
	case Object:
		open, shut = "{", "}"
	case String:
		b.WriteString(g.quote(v.Text()))
		return
	case Array:
	case Null, Bool, Number:
		b.WriteString(v.Raw())
		return
	}
	b.WriteString(open)
	order := g.Perm(v.Len())
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		g.blank(b)
		e := v.elements[i]
		if v.Kind() == Object {
			e = v.elements[order[i]]
			b.WriteString(g.quote(e.name))
			g.blank(b)
			b.WriteByte(':')
			g.blank(b)
		}
		g.value(b, e.value)
		g.blank(b)
	}
	g.blank(b)
	b.WriteString(shut)
}

func (g *generator) quote(s string) string {
	var b []byte
	b = append(b, '"')
	for _, r := range s {
		q := appendQuoted(nil, string(r), g.one(3))
		if g.one(8) && r < 0x10000 {
			q = fmt.Appendf(nil, `"\u%04x"`, r)
		}
		b = append(b, q[1:len(q)-1]...)
	}
	return string(append(b, '"'))
}
