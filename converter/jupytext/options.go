package jupytext

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

// incorrect is jupytext's key for what it cannot read in a marker.
const incorrect = "incorrectly_encoded_metadata"

// writeOptions is what stands in a marker behind "%%": a title, the type, and metadata as key=value.
func writeOptions(m metadata, kind string, asJSON bool) string {
	var words []string
	if depth, ok := m.get("cell_depth").Int(); ok && depth > 0 && depth < 100 {
		words = append(words, strings.Repeat("%", depth))
		m = m.without("cell_depth")
	}
	if title := m.get("title"); title.Kind() == nbformat.String {
		words = append(words, title.Text())
		m = m.without("title")
	}
	if kind != "" {
		if region := m.get("region_name"); region.Kind() == nbformat.String {
			kind = region.Text()
			m = m.without("region_name")
		}
		words = append(words, "["+kind+"]")
	}
	text := strings.Join(words, " ")
	more := writeMetadata(m, asJSON)
	if text != "" && more != "" {
		text += " "
	}
	return text + more
}

// writeMetadata is "key=value key=value".
func writeMetadata(m metadata, asJSON bool) string {
	if len(m) == 0 {
		return ""
	}
	var b []byte
	if asJSON {
		b = append(b, '{')
		for i, e := range m {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendQuoted(b, e.key), ": "...)
			b = appendDumps(b, e.value)
		}
		return string(append(b, '}'))
	}
	for i, e := range m {
		if i > 0 {
			b = append(b, ' ')
		}
		switch {
		case e.key == incorrect:
			b = append(b, e.value.Text()...)
		case e.value.Kind() == nbformat.Null:
			b = append(b, e.key...)
		default:
			b = append(append(b, e.key...), '=')
			b = appendDumps(b, e.value)
		}
	}
	return string(b)
}

// validKey says whether a key can stand in a marker.
func validKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if !letter(c) && (c < '0' || c > '9') && !strings.ContainsRune("_.@/-", rune(c)) {
			return false
		}
	}
	return key != ""
}

func identifier(key string) bool {
	for i := range len(key) {
		c := key[i]
		if !letter(c) && c != '_' && c != '.' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}

// readOptions reads what stands in a marker: a title (or a language) and metadata.
func readOptions(text string) (title string, m metadata) {
	text = strings.TrimSpace(text)
	curly, equals := strings.IndexByte(text, '{'), strings.IndexByte(text, '=')
	if curly >= 0 && (equals < 0 || curly < equals) {
		v, ok := literal(text[curly:])
		if !ok || v.Kind() != nbformat.Object {
			return strings.TrimSpace(text[:curly]), wrong(text[curly:])
		}
		return strings.TrimSpace(text[:curly]), metadataOf(v)
	}
	words := strings.Split(text, " ")
	if equals >= 0 {
		words = strings.Split(text[:equals], " ")
		for len(words) > 0 && words[len(words)-1] == "" {
			words = words[:len(words)-1]
		}
		if len(words) > 0 {
			words = words[:len(words)-1] // the key
		}
	}
	for len(words) > 0 && (blank(words[len(words)-1]) || words[len(words)-1][0] == '.') {
		words = words[:len(words)-1]
	}
	title = strings.Join(words, " ")
	return title, readPairs(text[len(title):])
}

func wrong(text string) metadata {
	return metadata{{incorrect, nbformat.StringValue(text)}}
}

// readPairs reads "key=value key=value key", from the right as jupytext does: a value may have blanks in it.
func readPairs(text string) metadata {
	type pair struct {
		key   string
		value *nbformat.Value
	}
	var pairs []pair
	var first metadata
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		space := strings.LastIndexByte(text, ' ')
		if last := text[space+1:]; !strings.HasPrefix(text, "--") && identifier(last) {
			pairs = append(pairs, pair{last, nbformat.NullValue()})
			text = text[:max(space, 0)]
			continue
		}
		found := false
		// A marker of a person has a few signs; one with thousands is none, and would take long.
		for at, tries := strings.LastIndexByte(text, '='), 0; at >= 0 && tries < 1000; at, tries =
			strings.LastIndexByte(text[:at], '='), tries+1 {
			before := strings.LastIndexByte(strings.TrimRight(text[:at], blanks), ' ')
			key := strings.TrimSpace(text[before+1 : at])
			if !validKey(key) {
				continue
			}
			v, ok := literal(text[at+1:])
			if !ok {
				continue
			}
			pairs = append(pairs, pair{key, v})
			text, found = text[:max(before, 0)], true
			break
		}
		if !found {
			first = wrong(text)
			break
		}
	}
	m := first
	for _, pair := range slices.Backward(pairs) {
		m.set(pair.key, pair.value)
	}
	return m
}

// active says whether a cell's code is live in files with an extension.
func active(extension string, m metadata, otherwise bool) bool {
	if m.get("run_control").Get("frozen").Bool() {
		return extension == ".ipynb"
	}
	extension = strings.ReplaceAll(extension, ".", "")
	for _, tag := range m.get("tags").Items() {
		if t := tag.Text(); strings.HasPrefix(t, "active-") {
			return slices.Contains(strings.Split(t, "-"), extension)
		}
	}
	where := m.get("active")
	if !m.has("active") || where.Kind() != nbformat.String {
		return otherwise
	}
	all := strings.FieldsFunc(where.Text(), func(r rune) bool { return r == '.' || r == ',' })
	return slices.Contains(all, extension)
}

func activeTag(m metadata) bool {
	for _, tag := range m.get("tags").Items() {
		if strings.HasPrefix(tag.Text(), "active-") {
			return true
		}
	}
	return false
}
