package jupytext

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// The header is YAML as PyYAML's safe_dump writes it, so that it is jupytext's byte for byte. The words that a string
// must not be without quotes are those of PyYAML's resolver (YAML 1.1).
var (
	yamlBool  = lazyregexp.New(`^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$`)
	yamlFloat = lazyregexp.New(`^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|` +
		`\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|` +
		`\.(?:nan|NaN|NAN))$`)
	yamlInt = lazyregexp.New(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|` +
		`[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlTime = lazyregexp.New(`^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)` +
		`[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?)$`)
	plainInt = lazyregexp.New(`^-?(?:0|[1-9][0-9]*)$`)
)

func yamlNull(s string) bool { return s == "" || s == "~" || s == "null" || s == "Null" || s == "NULL" }

// resolves says whether text without quotes is no string.
func resolves(s string) bool {
	return yamlNull(s) || s == "<<" || s == "=" || yamlBool.MatchString(s) || yamlFloat.MatchString(s) ||
		yamlInt.MatchString(s) || yamlTime.MatchString(s)
}

// errYAML is of a value that this YAML does not hold.
var errYAML = errors.New("no simple YAML")

// dumper writes YAML.
type dumper struct {
	lines  []string
	line   []rune
	failed bool
}

// dumpYAML is safe_dump(v, default_flow_style=False), of an object.
func dumpYAML(v *nbformat.Value) ([]string, error) {
	d := &dumper{}
	d.object(v, 0)
	d.end()
	if d.failed {
		return nil, errYAML
	}
	return d.lines, nil
}

func (d *dumper) write(s string) { d.line = append(d.line, []rune(s)...) }

func (d *dumper) end() {
	if len(d.line) > 0 {
		d.lines = append(d.lines, string(d.line))
	}
	d.line = d.line[:0]
}

// fold goes on in the next line.
func (d *dumper) fold(indent int) {
	d.lines = append(d.lines, string(d.line))
	d.line = append(d.line[:0], []rune(strings.Repeat(" ", indent))...)
}

func (d *dumper) object(v *nbformat.Value, indent int) {
	var m metadata
	for key, value := range v.Members() {
		m = append(m, entry{key, value})
	}
	slices.SortFunc(m, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i, e := range m {
		if i > 0 {
			d.end()
		}
		if len(d.line) == 0 {
			d.write(strings.Repeat(" ", indent))
		}
		if utf8.RuneCountInString(e.key) > 120 || strings.ContainsAny(e.key, "\n\u0085\u2028\u2029") || e.key == "" {
			d.failed = true // PyYAML writes "? key"
			return
		}
		d.text(e.key, indent, true)
		d.write(":")
		switch {
		case e.value.Kind() == nbformat.Object && e.value.Len() > 0:
			d.end()
			d.object(e.value, indent+2)
		case e.value.Kind() == nbformat.Array && e.value.Len() > 0:
			d.end()
			d.list(e.value, indent)
		default:
			d.write(" ")
			d.scalar(e.value, indent+2)
		}
	}
}

func (d *dumper) list(v *nbformat.Value, indent int) {
	for i, item := range v.Items() {
		if i > 0 {
			d.end()
		}
		if len(d.line) == 0 {
			d.write(strings.Repeat(" ", indent))
		}
		d.write("- ")
		switch {
		case item.Kind() == nbformat.Object && item.Len() > 0:
			d.object(item, indent+2)
		case item.Kind() == nbformat.Array && item.Len() > 0:
			d.list(item, indent+2)
		default:
			d.scalar(item, indent+2)
		}
	}
}

func (d *dumper) scalar(v *nbformat.Value, indent int) {
	switch v.Kind() {
	case nbformat.Object:
		d.write("{}")
	case nbformat.Array:
		d.write("[]")
	case nbformat.String:
		d.text(v.Text(), indent, false)
	case nbformat.Number:
		s := number(v.Raw())
		switch {
		case s == "NaN":
			s = ".nan"
		case strings.HasSuffix(s, "Infinity"):
			s = strings.Replace(s, "Infinity", ".inf", 1)
		case !strings.Contains(s, ".") && strings.Contains(s, "e"):
			s = strings.Replace(s, "e", ".0e", 1)
		}
		d.write(s)
	default:
		d.write(v.Raw())
	}
}

const bestWidth = 80

// text writes a string in the style that PyYAML chooses.
func (d *dumper) text(s string, indent int, key bool) {
	r := []rune(s)
	plain, single := analyse(r)
	switch {
	case plain && !resolves(s):
		d.plain(r, indent, !key)
	case single:
		d.single(r, indent, !key)
	default:
		d.double(r, indent, !key)
	}
}

const yamlBreaks = "\n\u0085\u2028\u2029"

// analyse says whether a string can be written without quotes in a block, and in single quotes.
func analyse(s []rune) (plain, single bool) {
	if len(s) == 0 {
		return true, true
	}
	is := func(i int, set string) bool { return i >= len(s) || strings.ContainsRune(set, s[i]) }
	const space = "\x00 \t\r\n\u0085\u2028\u2029"
	block := len(s) >= 3 && (string(s[:3]) == "---" || string(s[:3]) == "...")
	lines, special, edge, breakSpace, spaceBreak := false, false, false, false, false
	preceded, lastSpace, lastBreak := true, false, false
	for i, c := range s {
		followed := is(i+1, space)
		if i == 0 {
			block = block || strings.ContainsRune("#,[]{}&*!|>'\"%@`", c) ||
				followed && strings.ContainsRune("?:-", c)
		} else {
			block = block || c == ':' && followed || c == '#' && preceded
		}
		isBreak := strings.ContainsRune(yamlBreaks, c)
		lines = lines || isBreak
		special = special || c != '\n' && (c < 0x20 || c > 0x7e)
		switch {
		case c == ' ':
			edge = edge || i == 0 || i == len(s)-1
			breakSpace = breakSpace || lastBreak
			lastSpace, lastBreak = true, false
		case isBreak:
			edge = edge || i == 0 || i == len(s)-1
			spaceBreak = spaceBreak || lastSpace
			lastSpace, lastBreak = false, true
		default:
			lastSpace, lastBreak = false, false
		}
		preceded = strings.ContainsRune(space, c)
	}
	single = !breakSpace && !spaceBreak && !special
	return single && !edge && !lines && !block, single
}

func (d *dumper) plain(s []rune, indent int, split bool) {
	start, spaces := 0, false
	for end := 0; end <= len(s); end++ {
		isSpace := end < len(s) && s[end] == ' '
		switch {
		case spaces && !isSpace:
			if start+1 == end && len(d.line) > bestWidth && split {
				d.fold(indent)
			} else {
				d.line = append(d.line, s[start:end]...)
			}
			start = end
		case !spaces && (isSpace || end == len(s)):
			d.line = append(d.line, s[start:end]...)
			start = end
		}
		spaces = isSpace
	}
}

func (d *dumper) single(s []rune, indent int, split bool) {
	d.write("'")
	start, spaces, breaks := 0, false, false
	for end := 0; end <= len(s); end++ {
		var c rune = -1
		if end < len(s) {
			c = s[end]
		}
		isBreak := c == '\n'
		switch {
		case spaces:
			if c != ' ' {
				if start+1 == end && len(d.line) > bestWidth && split && start != 0 && end != len(s) {
					d.fold(indent)
				} else {
					d.line = append(d.line, s[start:end]...)
				}
				start = end
			}
		case breaks:
			if !isBreak {
				d.lines = append(d.lines, string(d.line))
				d.line = d.line[:0]
				for range end - start {
					d.lines = append(d.lines, "")
				}
				d.lines = d.lines[:len(d.lines)-1]
				d.fold(indent)
				start = end
			}
		case c == -1 || c == ' ' || isBreak || c == '\'':
			d.line = append(d.line, s[start:end]...)
			start = end
		}
		if c == '\'' {
			d.write("''")
			start = end + 1
		}
		spaces, breaks = c == ' ', isBreak
	}
	d.write("'")
}

var yamlEscapes = map[rune]string{
	0: "0", 7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 27: "e", '"': `"`, '\\': `\`, 0x85: "N",
	0xa0: "_", 0x2028: "L", 0x2029: "P",
}

func (d *dumper) double(s []rune, indent int, split bool) {
	d.write(`"`)
	start := 0
	for end := 0; end <= len(s); end++ {
		var c rune = -1
		if end < len(s) {
			c = s[end]
		}
		if c == -1 || c == '"' || c == '\\' || c < 0x20 || c > 0x7e {
			if start < end {
				d.line = append(d.line, s[start:end]...)
				start = end
			}
			if c != -1 {
				short, ok := yamlEscapes[c]
				switch hex := strings.ToUpper(strconv.FormatInt(int64(c), 16)); {
				case ok:
					d.write(`\` + short)
				case c <= 0xff:
					d.write(`\x` + strings.Repeat("0", 2-len(hex)) + hex)
				case c <= 0xffff:
					d.write(`\u` + strings.Repeat("0", 4-len(hex)) + hex)
				default:
					d.write(`\U` + strings.Repeat("0", 8-len(hex)) + hex)
				}
				start = end + 1
			}
		}
		if 0 < end && end < len(s)-1 && (c == ' ' || start >= end) && len(d.line)+end-start > bestWidth && split {
			if start < end {
				d.line = append(d.line, s[start:end]...)
				start = end
			}
			d.write(`\`)
			d.fold(indent)
			if s[start] == ' ' {
				d.write(`\`)
			}
		}
	}
	d.write(`"`)
}

// loadYAML reads the YAML of a header. It is an error where there is anything but maps, lists and scalars.
func loadYAML(text string) (*nbformat.Value, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		return nil, errYAML
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil, errYAML
	}
	return fromNode(node.Content[0])
}

func fromNode(node *yaml.Node) (*nbformat.Value, error) {
	switch node.Kind {
	case yaml.MappingNode:
		v := nbformat.ObjectValue()
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.Style == 0 && resolves(key.Value) || v.Has(key.Value) {
				return nil, errYAML
			}
			value, err := fromNode(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			v.Set(key.Value, value)
		}
		return v, nil
	case yaml.SequenceNode:
		v := nbformat.ArrayValue()
		for _, item := range node.Content {
			value, err := fromNode(item)
			if err != nil {
				return nil, err
			}
			v.Append(value)
		}
		return v, nil
	case yaml.ScalarNode:
		if node.Style&yaml.TaggedStyle != 0 || !utf8.ValidString(node.Value) {
			return nil, errYAML
		}
		return fromScalar(node), nil
	}
	return nil, errYAML // an alias
}

func fromScalar(node *yaml.Node) *nbformat.Value {
	s := node.Value
	if node.Style != 0 {
		return nbformat.StringValue(s)
	}
	switch {
	case yamlNull(s):
		return nbformat.NullValue()
	case yamlBool.MatchString(s):
		l := strings.ToLower(s)
		return nbformat.BoolValue(l == "yes" || l == "true" || l == "on")
	case plainInt.MatchString(s):
		return numberValue(s)
	case s == ".nan":
		return numberValue("NaN")
	case s == ".inf":
		return numberValue("Infinity")
	case s == "-.inf":
		return numberValue("-Infinity")
	case yamlFloat.MatchString(s) && !strings.ContainsAny(s, "_:iInN"):
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return numberValue(pythonFloat(f))
		}
	}
	return nbformat.StringValue(s)
}

func numberValue(raw string) *nbformat.Value {
	v, err := nbformat.ParseValue([]byte(raw))
	if err != nil {
		return nbformat.StringValue(raw)
	}
	return v
}
