package nbformat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Problem is what breaks the rules of the format at one place of a document.
type Problem struct {
	Cell int    // from 1; 0 where it is in no cell
	Path string // JSON pointer (RFC 6901): "/cells/3/outputs/0/data"
	Text string // "it has no "source""
	// Repaired says that Jupyter mends it on reading, with a warning: an id that is missing or there twice.
	Repaired bool
}

func (p Problem) String() string {
	path := p.Path
	if path == "" {
		path = "/"
	}
	if p.Cell > 0 {
		return fmt.Sprintf("cell %d (%s): %s", p.Cell, path, p.Text)
	}
	return path + ": " + p.Text
}

// Validate checks the document by the schemas that Jupyter publishes for the versions 3 and 4.0 to 4.5, and that ids
// are there once. Later minor versions of 4 are checked as Jupyter does it: by 4.5, with what is not known allowed. Of
// the versions 1 and 2, which have no schemas, what they become is checked ([Document.Upgrade]).
//
// There are no problems exactly where Python's nbformat.validator.isvalid says so. Its validate repairs first: it
// accepts what has only problems that are Repaired.
func (d *Document) Validate() []Problem {
	var problems []Problem
	add := func(path, text string, repaired bool) {
		problems = append(problems, Problem{Cell: d.cellOf(path), Path: path, Text: text, Repaired: repaired})
	}
	major, _ := d.Version()
	minor, written := 0, d.root.Get("nbformat_minor")
	if written != nil {
		n, ok := written.Int()
		if !ok {
			add("/nbformat_minor", fmt.Sprintf("it is %s, not an integer", short(written)), false)
			return problems
		}
		minor = n
	}
	var s *schema
	switch {
	case major < 3:
		return d.validateOld()
	case major == 3 && minor == 0:
		s = schema3()
	case major == 4 && minor >= 0:
		s = schemas4[min(minor, len(schemas4)-1)]()
	default:
		add("/nbformat_minor", fmt.Sprintf("there are no rules for version %d.%d", major, minor), false)
		return problems
	}
	withIDs := major == 4 && minor >= 5
	other := checker{quick: true}
	if !other.keeps(d.root, s) {
		c := checker{report: func(path, text string) {
			add(path, text, withIDs && text == noID && d.cellOf(path) > 0 && strings.Count(path, "/") == 2)
		}}
		c.check(d.root, s, "")
	}
	if !withIDs {
		return problems
	}
	seen := map[string]bool{}
	for i, cell := range d.root.Get("cells").Items() {
		if id := cell.Get("id"); id.Kind() == String {
			text, _ := id.wtf8()
			if seen[text] {
				add(fmt.Sprintf("/cells/%d/id", i), fmt.Sprintf("the id %s is that of another cell "+
					"too", short(id)), true)
			}
			seen[text] = true
		}
	}
	return problems
}

const noID = `it has no "id"`

// validateOld checks a document of version 1 or 2 by what it becomes.
func (d *Document) validateOld() []Problem {
	upgraded, err := Parse(d.Bytes())
	if err != nil {
		return []Problem{{Text: err.Error()}}
	}
	var problems []Problem
	for _, w := range upgraded.Upgrade() {
		if w.Lost {
			problems = append(problems, Problem{Cell: w.Cell, Path: w.Path, Text: w.Text})
		}
	}
	return append(problems, upgraded.Validate()...)
}

// Check is [Document.Validate] as an error, for where a document that breaks the rules must not pass, such as CI: it
// also refuses what Jupyter repairs. It names the first ten problems.
func (d *Document) Check() error {
	return problemsError(d.Validate())
}

func problemsError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the notebook breaks the rules of its format at %d places", len(problems))
	if len(problems) == 1 {
		b.Reset()
		b.WriteString("the notebook breaks the rules of its format")
	}
	for i, p := range problems {
		if i == 10 {
			b.WriteString("; …")
			break
		}
		b.WriteString([]string{": ", "; "}[min(i, 1)] + p.String())
	}
	return errors.New(b.String())
}

// cellOf is the number of the cell that a path leads into, from 1; 0 for none.
func (d *Document) cellOf(path string) int {
	parts := strings.Split(path, "/")
	switch {
	case len(parts) > 2 && parts[1] == "cells":
		n, _ := strconv.Atoi(parts[2])
		return n + 1
	case len(parts) > 4 && parts[1] == "worksheets" && parts[3] == "cells":
		sheet, _ := strconv.Atoi(parts[2])
		n, _ := strconv.Atoi(parts[4])
		n += d.root.Get("cells").Len()
		for i := range sheet {
			n += d.root.Get("worksheets").At(i).Get("cells").Len()
		}
		return n + 1
	}
	return 0
}

// join adds a key to a JSON pointer.
func join(path, key string) string {
	if strings.ContainsAny(key, "~/") {
		key = strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	return path + "/" + key
}

// typeOf is the type of a value as schemas name it: a number that is written with a point or exponent is no integer.
func typeOf(v *Value) string {
	switch v.Kind() {
	case Bool:
		return "boolean"
	case Number:
		if digits([]byte(strings.TrimPrefix(v.Raw(), "-"))) == len(strings.TrimPrefix(v.Raw(), "-")) {
			return "integer"
		}
	case Null, String, Array, Object:
	}
	return v.Kind().String()
}

func typeNames(types []string) string {
	names := map[string]string{
		"integer": "an integer", "array": "a list", "object": "an object", "string": "a string", "null": "null",
		"boolean": "true or false",
	}
	var all []string
	for _, t := range types {
		all = append(all, names[t])
	}
	return strings.Join(all, " or ")
}

// equal compares words and strings, which is what enums have.
func equal(a, b *Value) bool {
	if a.Kind() == String {
		return b.Kind() == String && a.Text() == b.Text()
	}
	return a.Kind() == b.Kind() && a.Raw() == b.Raw()
}

// short is a value in a message.
func short(v *Value) string {
	switch v.Kind() {
	case Array, Object:
		return "a JSON " + v.Kind().String()
	case Null, Bool, Number, String:
	}
	const most = 64
	text := v.Raw()
	if v.Kind() == String {
		text = v.Text()
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	if v.Kind() == String {
		return strconv.Quote(text)
	}
	return text
}

// oneOf lists what is allowed.
func oneOf(values []*Value) string {
	var all []string
	for _, v := range values {
		all = append(all, short(v))
	}
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}
