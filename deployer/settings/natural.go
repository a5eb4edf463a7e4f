package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// FromPython gives a decorator's settings, as its process sent them, with the types that Python gave them.
func FromPython(sent map[string]json.RawMessage) (map[string]any, error) {
	given := make(map[string]any, len(sent))
	for name, text := range sent {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // of an integer every digit counts
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("read the decorator's %q: %w", name, err)
		}
		given[name] = value
	}
	return given, nil
}

// several gives a list or a table, of a decorator or of metaml.toml, as the text that a cell would hold. The error is
// the rest of a sentence that begins with the name of the setting.
func (d Def) several(value any) (string, error) {
	switch v := value.(type) {
	case []any:
		return d.list(v)
	case map[string]any:
		return d.table(v)
	default:
		return "", fmt.Errorf("takes %s, not %v", d.Type.article(), value)
	}
}

func (d Def) list(values []any) (string, error) {
	separator := d.Type.Separator()
	if separator == "" {
		return "", fmt.Errorf("takes %s, not a list", d.Type.article())
	}
	items := make([]string, 0, len(values))
	for i, value := range values {
		item, ok := scalar(value)
		if !ok || item == "" {
			return "", fmt.Errorf("takes a text as item %d of its list", i+1)
		}
		if separator == "\n" && strings.Contains(item, separator) {
			return "", d.lines(fmt.Sprintf("item %d of its list", i+1))
		}
		items = append(items, item)
	}
	return strings.Join(items, separator), nil
}

func (d Def) table(values map[string]any) (string, error) {
	if d.Type == Text {
		text, err := json.Marshal(values)
		return string(text), err
	}
	if !d.Type.Table() {
		return "", fmt.Errorf("takes %s, not a table", d.Type.article())
	}
	items := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		text, ok := scalar(value)
		_, deeper := value.(map[string]any)
		switch {
		case strings.ContainsAny(name, "=\n"):
			return "", fmt.Errorf("has the name %q, which holds = or a line break", name)
		case value == nil && d.Type != Labels:
			items = append(items, name)
			continue
		case deeper:
			return "", fmt.Errorf("takes a text as %s, not a table: a name with dots is written in quotes", name)
		case !ok:
			return "", fmt.Errorf("takes a text as %s", name)
		case strings.Contains(text, "\n"):
			return "", d.lines(name)
		}
		items = append(items, name+"="+text)
	}
	return strings.Join(items, "\n"), nil
}

// lines refuses a value of several lines.
func (d Def) lines(where string) error {
	instead := ""
	if d.Type == Variables {
		instead = "; a Secret can hold it (secret)"
	}
	return fmt.Errorf("takes values of one line, and %s has more%s", where, instead)
}

// scalar gives a value that is no list and no table as text.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case json.Number:
		return v.String(), true
	default:
		return "", false
	}
}
