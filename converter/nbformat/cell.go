package nbformat

import "slices"

// DocumentCell is a cell of a [Document].
type DocumentCell struct {
	value   *Value
	version int
}

// NewCell makes a cell of version 4: "code", "markdown" or "raw". It gets an id when it comes into a document.
func NewCell(kind, source string) *DocumentCell {
	c := &DocumentCell{value: ObjectValue(), version: 4}
	c.value.Set("cell_type", StringValue(kind))
	c.value.Set("metadata", ObjectValue())
	if kind == "code" {
		c.value.Set("execution_count", NullValue())
		c.value.Set("outputs", ArrayValue())
	}
	c.value.Set("source", ArrayValue())
	c.SetSource(source)
	return c
}

// Value is the cell's object.
func (c *DocumentCell) Value() *Value { return c.value }

// Type is the cell's type as it is written: "code", "markdown" or "raw"; "heading" and "html" in version 3, "text" in
// version 1.
func (c *DocumentCell) Type() string { return c.value.Get("cell_type").Text() }

// ID is the cell's id; "" where it has none.
func (c *DocumentCell) ID() string { return c.value.Get("id").Text() }

// SetID sets the cell's id.
func (c *DocumentCell) SetID(id string) { c.value.Set("id", StringValue(id)) }

// Count is the execution count; 0 where the cell was not executed.
func (c *DocumentCell) Count() int {
	if n := number(c.value.Get("execution_count")); n != 0 {
		return n
	}
	return number(c.value.Get("prompt_number"))
}

func number(v *Value) int {
	f, _ := v.Float()
	return toInt(f)
}

// toInt is a number that counts something; 0 where it does not.
func toInt(f float64) int {
	if f >= 0 && f <= 1<<31 {
		return int(f)
	}
	return 0
}

// Level is the level of a heading cell, from 1; 0 of other cells.
func (c *DocumentCell) Level() int {
	if c.Type() != "heading" {
		return 0
	}
	return max(number(c.value.Get("level")), 1)
}

// sourceKeys are the keys that hold the source: code of versions 2 and 3 has "input", version 1 "code" and "text".
var sourceKeys = [...]string{"source", "input", "code", "text"}

// sourceKey is the key that has the source, or should.
func (c *DocumentCell) sourceKey() string {
	for _, key := range sourceKeys {
		if c.value.Get(key).Kind() != Null {
			return key
		}
	}
	code := c.Type() == "code"
	switch {
	case c.version == 1 && code:
		return "code"
	case c.version == 1:
		return "text"
	case c.version < 4 && code:
		return "input"
	}
	return "source"
}

// Source is the cell's text.
func (c *DocumentCell) Source() string {
	return multiline(c.value.Get(c.sourceKey()), c.version)
}

// multiline is the text of a string or of a list of lines.
func multiline(v *Value, version int) string {
	if v.Kind() != Array {
		return v.Text()
	}
	lines := make([]string, 0, v.Len())
	for _, line := range v.Items() {
		lines = append(lines, line.Text())
	}
	return joinLines(lines, version)
}

// SetSource sets the cell's text. It is split into lines as Jupyter does it, unless it was one string; lines at its
// start and end that stay are written as they were.
func (c *DocumentCell) SetSource(text string) {
	key := c.sourceKey()
	old := c.value.Get(key)
	if c.version == 1 || old.Kind() == String {
		if old.Kind() != String || old.Text() != text {
			c.value.Set(key, StringValue(text))
		}
		return
	}
	if old.Kind() != Array {
		old = ArrayValue()
		c.value.Set(key, old)
	} else if c.Source() == text {
		return
	}
	setLines(old, splitLines(text, c.version != 2))
}

// setLines makes the elements of a list these strings, and leaves those at its start and end that are equal.
func setLines(list *Value, lines []string) {
	same := func(i int, line string) bool {
		v := list.At(i)
		return v.Kind() == String && v.Text() == line
	}
	start, end := 0, 0
	for start < min(list.Len(), len(lines)) && same(start, lines[start]) {
		start++
	}
	for end < min(list.Len(), len(lines))-start && same(list.Len()-1-end, lines[len(lines)-1-end]) {
		end++
	}
	elements := slices.Clone(list.elements[:start])
	for i, line := range lines[start : len(lines)-end] {
		e := element{value: StringValue(line)}
		if at := start + i; at < list.Len()-end {
			e = list.elements[at]
			e.value = StringValue(line)
		}
		elements = append(elements, e)
	}
	list.arrange(append(elements, list.elements[list.Len()-end:]...))
}

// Metadata is the cell's metadata; nil where there is none.
func (c *DocumentCell) Metadata() *Value { return c.value.Get("metadata") }

// SetMetadata sets the cell's metadata.
func (c *DocumentCell) SetMetadata(metadata *Value) { c.value.Set("metadata", metadata) }

// Tags are the cell's tags.
func (c *DocumentCell) Tags() []string {
	var tags []string
	for _, tag := range c.Metadata().Get("tags").Items() {
		if s := tag.Text(); s != "" {
			tags = append(tags, s)
		}
	}
	return tags
}

// HasTag says whether the cell has a tag.
func (c *DocumentCell) HasTag(tag string) bool { return slices.Contains(c.Tags(), tag) }

// SetTags sets the cell's tags; without any, the key goes.
func (c *DocumentCell) SetTags(tags ...string) {
	metadata := c.Metadata()
	if metadata.Kind() != Object {
		if len(tags) == 0 {
			return
		}
		metadata = ObjectValue()
		c.SetMetadata(metadata)
	}
	if len(tags) == 0 {
		metadata.Delete("tags")
	} else if !slices.Equal(tags, c.Tags()) {
		metadata.Set("tags", StringsValue(tags...))
	}
}

// Outputs is the list of the cell's outputs; nil where there is none.
func (c *DocumentCell) Outputs() *Value { return c.value.Get("outputs") }

// ClearOutputs takes outputs and execution count out of a code cell.
func (c *DocumentCell) ClearOutputs() {
	if outputs := c.Outputs(); outputs.Kind() == Array {
		outputs.Clear()
	}
	for _, key := range []string{"execution_count", "prompt_number"} {
		if c.value.Get(key).Kind() == Number {
			c.value.Set(key, NullValue())
		}
	}
}
