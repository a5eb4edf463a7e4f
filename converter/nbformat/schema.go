package nbformat

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// schemas are those that Jupyter publishes with its package nbformat 5.11.1, as they are.
//
//go:embed schema/*.json
var schemas embed.FS

// SchemaLicence is the licence (BSD, 3 clauses) under which Jupyter publishes the schemas in this package: programs
// that contain it must carry the text.
//
//go:embed schema/LICENSE
var SchemaLicence string

// schema is a JSON schema: the keywords that those of notebooks use, as draft 4 means them.
type schema struct {
	ref        *schema // the only one that counts where it is set
	types      []string
	enum       []*Value
	required   []string
	properties map[string]*schema
	patterns   []patterned
	closed     bool    // other properties are refused
	additional *schema // of other properties
	items      *schema
	oneOf      []*schema
	not        *schema
	pattern    *pattern
	length     [2]int // least and most characters; 0 for any
	minimum    *float64
	maximum    *float64
	unique     bool
}

type patterned struct {
	name   *pattern
	schema *schema
}

// schema3 and schemas4 read a schema when it is needed first; the last one is for minor versions that come after 4.5:
// it allows properties, cells and outputs that are not known.
var (
	schema3  = sync.OnceValue(func() *schema { return loadSchema("3", false) })
	schemas4 = func() (all [7]func() *schema) {
		for minor := range all {
			all[minor] = sync.OnceValue(func() *schema {
				return loadSchema(fmt.Sprint("4.", min(minor, 5)), minor > 5)
			})
		}
		return all
	}()
)

// loadSchema reads a schema of those that are part of this package. It panics if it is not there: a test reads each.
func loadSchema(version string, future bool) *schema {
	data, err := schemas.ReadFile("schema/nbformat.v" + version + ".schema.json")
	if err != nil {
		panic(err)
	}
	root, err := ParseValue(data)
	if err != nil {
		panic(err)
	}
	if future {
		definitions := root.Get("definitions")
		for _, name := range []string{"cell", "output"} {
			other := ObjectValue()
			other.Set("$ref", StringValue("#/definitions/unrecognized_"+name))
			definitions.Get(name).Get("oneOf").Append(other)
		}
	}
	l := loader{root: root, open: future, done: map[*Value]*schema{}}
	return l.load(root)
}

type loader struct {
	root *Value
	open bool // additional properties are allowed everywhere
	done map[*Value]*schema
}

func (l *loader) load(v *Value) *schema {
	if v == nil {
		return nil
	}
	if s := l.done[v]; s != nil {
		return s
	}
	s := &schema{}
	l.done[v] = s
	if ref := v.Get("$ref").Text(); ref != "" {
		at := l.root
		for key := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.Get(key)
		}
		s.ref = l.load(at)
		return s
	}
	s.types = texts(v.Get("type"))
	for _, value := range v.Get("enum").Items() {
		s.enum = append(s.enum, value)
	}
	s.required = texts(v.Get("required"))
	s.properties = map[string]*schema{}
	for name, property := range v.Get("properties").Members() {
		s.properties[name] = l.load(property)
	}
	for name, property := range v.Get("patternProperties").Members() {
		s.patterns = append(s.patterns, patterned{newPattern(name), l.load(property)})
	}
	switch other := v.Get("additionalProperties"); {
	case l.open:
	case other.Kind() == Object:
		s.additional = l.load(other)
	case other.Kind() == Bool:
		s.closed = !other.Bool()
	}
	s.items = l.load(v.Get("items"))
	for _, one := range v.Get("oneOf").Items() {
		s.oneOf = append(s.oneOf, l.load(one))
	}
	s.not = l.load(v.Get("not"))
	if p := v.Get("pattern").Text(); p != "" {
		s.pattern = newPattern(p)
	}
	s.length[0], _ = v.Get("minLength").Int()
	s.length[1], _ = v.Get("maxLength").Int()
	if f, ok := v.Get("minimum").Float(); ok {
		s.minimum = &f
	}
	if f, ok := v.Get("maximum").Float(); ok {
		s.maximum = &f
	}
	s.unique = v.Get("uniqueItems").Bool()
	return s
}

// texts are the strings of a list, or a string alone.
func texts(v *Value) []string {
	if v.Kind() == String {
		return []string{v.Text()}
	}
	var all []string
	for _, item := range v.Items() {
		all = append(all, item.Text())
	}
	return all
}

// pattern is a regular expression of a schema.
type pattern struct {
	text          string
	python, exact *regexp.Regexp // $ also matches before a newline at the end, or does not
}

func newPattern(text string) *pattern {
	return &pattern{
		text:   text,
		python: regexp.MustCompile(strings.ReplaceAll(text, "$", `\n?\z`)),
		exact:  regexp.MustCompile(strings.ReplaceAll(text, "$", `\z`)),
	}
}

// checker collects what breaks the rules; without report it stops at the first.
//
// Jupyter asks two libraries, and a document is valid if one of them says so. For jsonschema a pattern's $ also matches
// before a newline at the end; for fastjsonschema, which quick stands for, it does not.
type checker struct {
	quick  bool
	report func(path, text string)
	broken bool
}

func (c *checker) matches(p *pattern, text string) bool {
	if c.quick {
		return p.exact.MatchString(text)
	}
	return p.python.MatchString(text)
}

// among says whether an enum has a value.
func among(v *Value, enum []*Value) bool {
	return slices.ContainsFunc(enum, func(e *Value) bool { return equal(e, v) })
}

func (c *checker) say(path, format string, args ...any) {
	c.broken = true
	if c.report != nil {
		c.report(path, fmt.Sprintf(format, args...))
	}
}

// keeps says whether a value keeps the rules of a schema.
func (c *checker) keeps(v *Value, s *schema) bool {
	silent := checker{quick: c.quick}
	silent.check(v, s, "")
	return !silent.broken
}

func (c *checker) check(v *Value, s *schema, path string) {
	for s.ref != nil {
		s = s.ref
	}
	if len(s.types) > 0 && !slices.Contains(s.types, typeOf(v)) && !slices.Contains(s.types, v.Kind().String()) {
		c.say(path, "it is a JSON %s, not %s", v.Kind(), typeNames(s.types))
		return
	}
	if len(s.enum) > 0 && !among(v, s.enum) {
		c.say(path, "it is %s, not %s", short(v), oneOf(s.enum))
	}
	switch v.Kind() {
	case String:
		c.checkString(v, s, path)
	case Number:
		f, _ := v.Float()
		if s.minimum != nil && f < *s.minimum {
			c.say(path, "it is %s, less than %v", v.Raw(), *s.minimum)
		}
		if s.maximum != nil && f > *s.maximum {
			c.say(path, "it is %s, more than %v", v.Raw(), *s.maximum)
		}
	case Object:
		c.checkObject(v, s, path)
	case Array:
		c.checkArray(v, s, path)
	case Null, Bool:
	}
	if c.broken && c.report == nil {
		return
	}
	if s.not != nil && c.keeps(v, s.not) {
		c.say(path, "it is %s, which is refused here", short(v))
	}
	if len(s.oneOf) > 0 {
		c.checkOneOf(v, s, path)
	}
}

func (c *checker) checkString(v *Value, s *schema, path string) {
	if s.pattern == nil && s.length == [2]int{} {
		return
	}
	text := v.Text()
	n := utf8.RuneCountInString(text)
	switch {
	case n < s.length[0]:
		c.say(path, "it has %d characters, fewer than %d", n, s.length[0])
	case s.length[1] > 0 && n > s.length[1]:
		c.say(path, "it has %d characters, more than %d", n, s.length[1])
	case s.pattern != nil && !c.matches(s.pattern, text):
		c.say(path, "%s does not match the pattern %s", short(v), s.pattern.text)
	}
}

func (c *checker) checkObject(v *Value, s *schema, path string) {
	for _, key := range s.required {
		if !v.Has(key) {
			c.say(path, "it has no %q", key)
		}
	}
	for key, value := range v.Members() {
		if c.broken && c.report == nil {
			return
		}
		property, known := s.properties[key]
		if known {
			c.check(value, property, join(path, key))
		}
		for _, p := range s.patterns {
			if c.matches(p.name, key) {
				known = true
				c.check(value, p.schema, join(path, key))
			}
		}
		switch {
		case known:
		case s.closed:
			c.say(path, "it has %q, which is not known here", key)
		case s.additional != nil:
			c.check(value, s.additional, join(path, key))
		}
	}
}

func (c *checker) checkArray(v *Value, s *schema, path string) {
	var seen map[string]bool
	if s.unique {
		seen = map[string]bool{}
	}
	for i, item := range v.Items() {
		if c.broken && c.report == nil {
			return
		}
		if s.items != nil {
			c.check(item, s.items, join(path, fmt.Sprint(i)))
		}
		if s.unique && item.Kind() == String {
			if text, _ := item.wtf8(); seen[text] {
				c.say(path, "it has %s twice", short(item))
			} else {
				seen[text] = true
			}
		}
	}
}

// checkOneOf wants exactly one of several schemas to be kept. Where none is, the one that is meant by the type of the
// cell or output says why.
func (c *checker) checkOneOf(v *Value, s *schema, path string) {
	kept := 0
	for _, one := range s.oneOf {
		if c.keeps(v, one) {
			kept++
		}
	}
	switch {
	case kept == 1:
		return
	case kept > 1:
		c.say(path, "it keeps the rules of %d kinds at once", kept)
		return
	case c.report == nil:
		c.broken = true
		return
	}
	for _, key := range []string{"cell_type", "output_type"} {
		value := v.Get(key)
		var known []*Value
		for _, one := range s.oneOf {
			for one.ref != nil {
				one = one.ref
			}
			kind := one.properties[key]
			if kind == nil {
				continue
			}
			known = append(known, kind.enum...)
			if value != nil && among(value, kind.enum) {
				c.check(v, one, path)
				return
			}
		}
		switch {
		case len(known) == 0:
		case value == nil:
			c.say(path, "it has no %q", key)
			return
		default:
			c.say(join(path, key), "it is %s, not %s", short(value), oneOf(known))
			return
		}
	}
	if v.Kind() == Array {
		c.say(path, "it is neither a string nor a list of strings")
		return
	}
	var types []string
	for _, one := range s.oneOf {
		types = append(types, one.types...)
	}
	c.say(path, "it is a JSON %s, not %s", v.Kind(), typeNames(types))
}
