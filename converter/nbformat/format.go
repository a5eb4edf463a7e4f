package nbformat

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Format is the document as Python's nbformat.write writes it in the version that it has: sorted keys, lists of lines,
// without what Jupyter does not save (metadata.signature, orig_nbformat, the cells' metadata.trusted). One thing
// differs: half of a surrogate pair, on which Python fails, is written as an escape. Ids are not made up;
// [Document.Upgrade] does.
func (d *Document) Format() []byte {
	version, _ := d.Version()
	root := d.root.clone()
	w := writer{sort: version > 1, indent: " ", ascii: version < 4}
	switch version {
	case 1:
		w.indent = "    "
	case 2, 3:
		if version == 3 {
			root.Delete("orig_nbformat")
			root.Delete("orig_nbformat_minor")
		}
		for _, sheet := range root.Get("worksheets").Items() {
			for _, cell := range sheet.Get("cells").Items() {
				splitOldCell(cell, version)
			}
		}
	default:
		for _, key := range []string{"orig_nbformat", "orig_nbformat_minor", "signature"} {
			root.Get("metadata").Delete(key)
		}
		for _, cell := range root.Get("cells").Items() {
			splitCell(cell)
		}
	}
	return append(w.append(nil, root, 0), '\n')
}

// clone is a copy that has no layout.
func (v *Value) clone() *Value {
	if v == nil {
		return nil
	}
	c := &Value{kind: v.kind, text: v.text}
	if v.elements != nil {
		c.elements = make([]element, len(v.elements))
		for i, e := range v.elements {
			c.elements[i] = element{key: e.key, name: e.name, value: e.value.clone()}
		}
	}
	return c
}

// splitCell splits the texts of a cell of version 4 into lines, as Jupyter's writer does.
func splitCell(cell *Value) {
	cell.Get("metadata").Delete("trusted")
	splitText(cell, "source", 4)
	for _, bundle := range cell.Get("attachments").Members() {
		splitBundle(bundle)
	}
	if cell.Get("cell_type").Text() != "code" {
		return
	}
	for _, output := range cell.Get("outputs").Items() {
		switch kind := output.Get("output_type").Text(); kind {
		case "execute_result", "display_data":
			splitBundle(output.Get("data"))
		case "stream":
			splitText(output, "text", 4)
		case "":
		default:
			if text := output.Get("text"); text.Kind() == Array {
				output.Set("text", StringValue(joined(text, 4)))
			}
		}
	}
}

// splitBundle splits what is text in a bundle of mime types, and joins what was split and is not.
func splitBundle(bundle *Value) {
	for mime, v := range bundle.Members() {
		json := mime == "application/json" ||
			strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")
		text := strings.HasPrefix(mime, "text/") || mime == "application/javascript" || mime == "image/svg+xml"
		switch {
		case json && v.Kind() == Array:
		case text:
			splitText(bundle, mime, 4)
		case v.Kind() == Array && allStrings(v):
			bundle.Set(mime, StringValue(joined(v, 4)))
		}
	}
}

// oldTexts are the keys of outputs that versions 2 and 3 split.
var oldTexts = []string{"text", "html", "svg", "latex", "javascript", "json"}

func splitOldCell(cell *Value, version int) {
	if version == 3 {
		cell.Get("metadata").Delete("trusted")
		cell.Delete("trusted")
	}
	if cell.Get("cell_type").Text() != "code" {
		splitText(cell, "source", version)
		splitText(cell, "rendered", version)
		return
	}
	splitText(cell, "input", version)
	for _, output := range cell.Get("outputs").Items() {
		for _, key := range oldTexts {
			splitText(output, key, version)
		}
	}
}

// splitText makes a list of lines of the text at a key, whether it was one or a list.
func splitText(v *Value, key string, version int) {
	old := v.Get(key)
	if old.Kind() != String && (old.Kind() != Array || !allStrings(old)) {
		return
	}
	list := &Value{kind: Array}
	for _, line := range splitLines(joined(old, version), version != 2) {
		list.Append(StringValue(line))
	}
	v.Set(key, list)
}

// joined is the text of a string or of a list of strings; half of a surrogate pair is kept.
func joined(v *Value, version int) string {
	if v.Kind() != Array {
		text, _ := v.wtf8()
		return text
	}
	lines := make([]string, 0, v.Len())
	for _, line := range v.Items() {
		text, _ := line.wtf8()
		lines = append(lines, text)
	}
	return joinLines(lines, version)
}

func allStrings(v *Value) bool {
	return !slices.ContainsFunc(v.elements, func(e element) bool { return e.value.Kind() != String })
}

// writer writes as Python's json.dumps.
type writer struct {
	sort   bool
	indent string
	ascii  bool
}

func (w *writer) append(b []byte, v *Value, depth int) []byte {
	switch v.Kind() {
	case String:
		text, _ := v.wtf8()
		return appendQuoted(b, text, w.ascii)
	case Number:
		return appendNumber(b, v.text)
	case Array:
		if v.Len() == 0 {
			return append(b, "[]"...)
		}
		b = append(b, '[')
		for i, item := range v.Items() {
			b = w.line(b, i, depth+1)
			b = w.append(b, item, depth+1)
		}
		return append(w.line(b, 0, depth), ']')
	case Object:
		if v.Len() == 0 {
			return append(b, "{}"...)
		}
		b = append(b, '{')
		for i, e := range w.members(v) {
			b = w.line(b, i, depth+1)
			b = appendQuoted(b, e.name, w.ascii)
			b = append(b, ": "...)
			b = w.append(b, e.value, depth+1)
		}
		return append(w.line(b, 0, depth), '}')
	case Null, Bool:
	}
	return append(b, v.Raw()...)
}

// line starts the line of the element i.
func (w *writer) line(b []byte, i, depth int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, '\n')
	for range depth {
		b = append(b, w.indent...)
	}
	return b
}

// members are the keys of an object as a dict of Python has them: once, where the first one stood, with the last value.
func (w *writer) members(v *Value) []element {
	elements := slices.Clone(v.elements)
	if last := v.lasts(); last != nil {
		elements = elements[:0]
		seen := map[string]bool{}
		for _, e := range v.elements {
			if !seen[e.name] {
				seen[e.name] = true
				elements = append(elements, v.elements[last[e.name]])
			}
		}
	}
	if w.sort {
		slices.SortFunc(elements, byName)
	}
	return elements
}

// appendNumber writes a number as Python's repr.
func appendNumber(b []byte, text string) []byte {
	if text == "-0" {
		return append(b, '0')
	}
	if !strings.ContainsAny(text, ".eEN") && !strings.HasSuffix(text, "y") {
		return append(b, text...) // an integer of any size
	}
	f := parseFloat(text)
	size := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	case size != 0 && (size < 1e-4 || size >= 1e16):
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if !slices.Contains(b[start:], '.') {
		b = append(b, ".0"...)
	}
	return b
}
