package nbformat

import (
	"errors"
	"fmt"
)

// Warning is what [Document.Upgrade] had to decide for itself.
type Warning struct {
	Cell int    // from 1; 0 where it is about no cell
	Path string // JSON pointer into the document as it was before
	Text string
	// Lost says that something was left out or not understood; else it was only repaired.
	Lost bool
}

func (w Warning) String() string { return Problem{Cell: w.Cell, Path: w.Path, Text: w.Text}.String() }

// Upgrade makes the document one of version 4.5 as Jupyter does, and repairs what Jupyter repairs on reading and what a
// cell cannot be without: ids that are missing, not allowed or there twice, metadata, outputs, execution counts. Ids
// that are in order stay. What Jupyter never saves is taken out: metadata.signature, orig_nbformat, trusted. The
// warnings name what was not in order. A minor version above 4.5 stays as it is.
//
// Documents of the versions 1 to 3 lose the way they were written; [Document.Format] writes them as Jupyter would.
func (d *Document) Upgrade() []Warning {
	u := upgrader{d: d}
	u.version, u.minor = d.Version()
	if u.version < 4 {
		u.fromOld()
	} else {
		u.from4()
	}
	return u.warnings
}

// UpgradeStrict is [Document.Upgrade] for where nothing may be guessed, such as CI: where it would warn, or what comes
// out would break the rules of the format, the document stays as it is.
func (d *Document) UpgradeStrict() error {
	trial := &Document{NewID: d.NewID, head: d.head, rest: d.rest, root: d.root.copy(), layout: d.layout}
	if warnings := trial.Upgrade(); len(warnings) > 0 {
		more := ""
		if n := len(warnings) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		return errors.New("the notebook cannot be upgraded without a guess: " + warnings[0].String() + more)
	}
	if err := trial.Check(); err != nil {
		return err
	}
	*d = *trial
	return nil
}

// copy is a copy that is written as the value was.
func (v *Value) copy() *Value {
	if v == nil {
		return nil
	}
	c := *v
	c.elements = make([]element, len(v.elements))
	for i, e := range v.elements {
		c.elements[i] = e
		c.elements[i].value = e.value.copy()
	}
	return &c
}

type upgrader struct {
	d              *Document
	version, minor int
	warnings       []Warning
}

func (u *upgrader) warn(path, text string, lost bool) {
	u.warnings = append(u.warnings, Warning{Cell: u.d.cellOf(path), Path: path, Text: text, Lost: lost})
}

// unsaved are the keys of the notebook's metadata that Jupyter does not save.
var unsaved = []string{"orig_nbformat", "orig_nbformat_minor", "signature"}

func (u *upgrader) from4() {
	root := u.d.root
	if u.minor > 5 {
		u.warn("/nbformat_minor", fmt.Sprintf("version 4.%d is newer than 4.5 and stays as it is", u.minor), false)
	} else {
		if !root.Has("nbformat_minor") {
			u.warn("/nbformat_minor", "the minor version was missing; 0 was assumed", false)
		}
		root.Set("nbformat_minor", IntValue(5))
	}
	if root.Get("metadata").Kind() != Object {
		u.warn("/metadata", "the notebook had no metadata", root.Has("metadata"))
		root.Set("metadata", ObjectValue())
	}
	for _, key := range unsaved {
		root.Get("metadata").Delete(key)
	}
	for i, cell := range root.Get("cells").Items() {
		u.complete(cell, fmt.Sprintf("/cells/%d", i))
	}
	u.ids(u.minor >= 5)
}

// complete gives a cell of version 4 what it cannot be without, apart from an id.
func (u *upgrader) complete(cell *Value, path string) {
	if cell.Kind() != Object {
		u.warn(path, fmt.Sprintf("it is a JSON %s, not a cell", cell.Kind()), true)
		return
	}
	need := func(key string, value *Value) {
		if !cell.Has(key) {
			u.warn(path, fmt.Sprintf("it had no %q", key), false)
			cell.Set(key, value)
		}
	}
	need("metadata", ObjectValue())
	need("source", ArrayValue())
	if cell.Get("cell_type").Text() == "code" {
		need("outputs", ArrayValue())
		need("execution_count", NullValue())
	}
	cell.Get("metadata").Delete("trusted")
	c := DocumentCell{value: cell, version: 4}
	source := cell.Get(c.sourceKey())
	lone := false
	for _, line := range source.Items() {
		_, half := line.wtf8()
		lone = lone || half
	}
	if _, half := source.wtf8(); half || lone {
		u.warn(path+"/source", "it has half of a surrogate pair, which is no character and which Jupyter cannot "+
			"save", false)
	}
}

// isID says whether a text is what the schemas allow as the id of a cell.
func isID(text string) bool {
	for _, c := range []byte(text) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return 0 < len(text) && len(text) <= 64
}

// ids gives each cell an id of its own. named says that the version has ids, so that one that is missing is a fault.
func (u *upgrader) ids(named bool) {
	used, repeated := map[string]bool{}, map[int]bool{}
	cells := u.d.root.Get("cells")
	for i, cell := range cells.Items() {
		id := cell.Get("id").Text()
		if !isID(id) {
			continue
		}
		repeated[i] = used[id]
		used[id] = true
	}
	for i, cell := range cells.Items() {
		if cell.Kind() != Object {
			continue
		}
		old := cell.Get("id")
		if isID(old.Text()) && !repeated[i] {
			continue
		}
		id := u.d.newID(used)
		cell.Set("id", StringValue(id))
		path := fmt.Sprintf("/cells/%d/id", i)
		switch {
		case repeated[i]:
			u.warn(path, fmt.Sprintf("the id %s was that of another cell too; now it is %q", short(old), id), false)
		case old != nil:
			u.warn(path, fmt.Sprintf("the id %s is not allowed; now it is %q", short(old), id), false)
		case named:
			u.warn(path, fmt.Sprintf("it had no id; now it is %q", id), false)
		}
	}
}

// fromOld makes version 4.5 of the versions 1 to 3.
func (u *upgrader) fromOld() {
	d := u.d
	old := d.root
	root := old.clone()
	if u.version == 1 {
		root = ObjectValue() // version 1 has cells alone
	} else if root.Get("metadata").Kind() != Object {
		u.warn("/metadata", "the notebook had no metadata", root.Has("metadata"))
	}
	cells := ArrayValue()
	add := func(v *Value, path string) {
		if v.Kind() != Object {
			u.warn(path, fmt.Sprintf("it is a JSON %s, not a cell; it was left out", v.Kind()), true)
			return
		}
		cell := v.clone()
		if u.version == 1 {
			cell = u.from1(cell, path)
		}
		u.cell(cell, path)
		cells.Append(cell)
	}
	for i, cell := range old.Get("cells").Items() {
		add(cell, fmt.Sprintf("/cells/%d", i))
	}
	for i, sheet := range old.Get("worksheets").Items() {
		for j, cell := range sheet.Get("cells").Items() {
			add(cell, fmt.Sprintf("/worksheets/%d/cells/%d", i, j))
		}
	}
	for _, key := range append([]string{"worksheets"}, unsaved[:2]...) {
		root.Delete(key)
	}
	root.Set("cells", cells)
	if root.Get("metadata").Kind() != Object {
		root.Set("metadata", ObjectValue())
	}
	for _, key := range append([]string{"name"}, unsaved...) {
		root.Get("metadata").Delete(key)
	}
	root.Set("nbformat", IntValue(4))
	root.Set("nbformat_minor", IntValue(5))
	d.root = root
	u.ids(false)
}

// from1 makes a cell of version 2 of one of version 1.
func (u *upgrader) from1(old *Value, path string) *Value {
	cell := ObjectValue()
	source := "text"
	if !old.Has(source) {
		source = "code"
	}
	target := "source"
	switch kind := old.Get("cell_type").Text(); kind {
	case "code":
		source, target = "code", "input"
		cell.Set("cell_type", StringValue("code"))
		cell.Set("collapsed", BoolValue(false))
		cell.Set("outputs", ArrayValue())
		if n := old.Get("prompt_number"); n.Kind() == Number {
			cell.Set("prompt_number", n)
		}
		if old.Get("outputs").Len() > 0 {
			u.warn(path+"/outputs", "its outputs were left out, as Jupyter does with those of version 1", false)
		}
	default:
		cell.Set("cell_type", StringValue("markdown"))
		if kind != "text" {
			u.warn(path+"/cell_type", fmt.Sprintf("its type %q is not known in version 1; now it is "+
				"Markdown", kind), true)
		}
	}
	if text := old.Get(source); text != nil {
		cell.Set(target, text)
	}
	return cell
}

// cell makes a cell of version 4 of one of version 2 or 3.
func (u *upgrader) cell(cell *Value, path string) {
	if metadata := cell.Get("metadata"); metadata.Kind() != Object {
		if metadata != nil {
			u.warn(path+"/metadata", fmt.Sprintf("it is a JSON %s and was left out", metadata.Kind()), true)
		}
		cell.Set("metadata", ObjectValue())
	}
	kind := cell.Get("cell_type").Text()
	if kind != "code" {
		u.join(cell, "source", true)
		u.join(cell, "rendered", false)
	}
	switch kind {
	case "code":
		u.join(cell, "input", true)
		cell.Delete("language")
		if collapsed := cell.Delete("collapsed"); collapsed != nil {
			cell.Get("metadata").Set("collapsed", collapsed)
		}
		move(cell, "input", "source", ArrayValue())
		move(cell, "prompt_number", "execution_count", NullValue())
		if cell.Get("outputs").Kind() != Array {
			u.warn(path, `it had no "outputs"`, cell.Has("outputs"))
			cell.Set("outputs", ArrayValue())
		}
		for i, output := range cell.Get("outputs").Items() {
			u.output(output, fmt.Sprintf("%s/outputs/%d", path, i))
		}
	case "heading":
		level := 1
		if v := cell.Delete("level"); v != nil {
			level = number(v)
		}
		if level < 1 || level > 6 {
			u.warn(path+"/level", "Markdown has headings of the levels 1 to 6 alone", true)
		}
		cell.Set("cell_type", StringValue("markdown"))
		cell.Set("source", StringValue(heading(level, joined(cell.Get("source"), 4))))
	case "html":
		cell.Set("cell_type", StringValue("markdown"))
	case "":
		u.warn(path, `it has no "cell_type"`, true)
	}
	cell.Get("metadata").Delete("trusted")
}

// move gives a key another name; where it is not there the value stands in.
func move(v *Value, from, to string, missing *Value) {
	if value := v.Delete(from); value != nil {
		missing = value
	}
	v.Set(to, missing)
}

// join makes a list of lines of an old version one that is joined by nothing, or one string.
func (u *upgrader) join(v *Value, key string, lines bool) {
	old := v.Get(key)
	if old.Kind() != Array || !allStrings(old) {
		return
	}
	switch text := joined(old, u.version); {
	case !lines:
		v.Set(key, StringValue(text))
	case text != joined(old, 4):
		v.Set(key, StringsValue(splitLines(text, true)...))
	}
}

// mimes are the names that version 3 has for mime types.
var mimes = []struct{ alias, mime string }{
	{"text", "text/plain"},
	{"html", "text/html"},
	{"svg", "image/svg+xml"},
	{"png", "image/png"},
	{"jpeg", "image/jpeg"},
	{"latex", "text/latex"},
	{"json", "application/json"},
	{"javascript", "application/javascript"},
}

func renameMimes(v *Value) {
	for _, m := range mimes {
		if value := v.Delete(m.alias); value != nil {
			v.Set(m.mime, value)
		}
	}
}

func (u *upgrader) output(output *Value, path string) {
	if output.Kind() != Object {
		u.warn(path, fmt.Sprintf("it is a JSON %s, not an output", output.Kind()), true)
		return
	}
	kind := output.Get("output_type").Text()
	data := kind == "pyout" || kind == "display_data"
	for _, key := range oldTexts {
		u.join(output, key, data && key != "json" || kind == "stream" && key == "text")
	}
	switch kind {
	case "pyout", "display_data":
		if !output.Has("metadata") {
			output.Set("metadata", ObjectValue())
		}
		if kind == "pyout" {
			output.Set("output_type", StringValue("execute_result"))
			move(output, "prompt_number", "execution_count", NullValue())
		}
		bundle := ObjectValue()
		for _, e := range (&writer{}).members(output) {
			switch e.name {
			case "output_type", "execution_count", "metadata":
			default:
				bundle.Set(e.name, e.value)
				output.Delete(e.name)
			}
		}
		renameMimes(bundle)
		renameMimes(output.Get("metadata"))
		if text := bundle.Get("application/json"); text.Kind() == String {
			value, err := ParseValue([]byte(text.Text()))
			if err != nil {
				u.warn(path+"/json", "it is not JSON and stays a string", true)
				value = text
			}
			bundle.Set("application/json", value.clone())
		}
		output.Set("data", bundle)
	case "pyerr":
		output.Set("output_type", StringValue("error"))
	case "stream":
		move(output, "stream", "name", StringValue("stdout"))
	case "":
		u.warn(path, `it has no "output_type"`, true)
	}
}
