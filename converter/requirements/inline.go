package requirements

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/lazyregexp"
)

var python3 = lazyregexp.New(`^(3\.\d+)(\.\d+)?`)

// The tables of PEP 723, and those by which uv finds what is not in the public index.
// https://packaging.python.org/en/latest/specifications/inline-script-metadata
type (
	inline struct {
		RequiresPython string   `toml:"requires-python,omitempty"`
		Dependencies   []string `toml:"dependencies,multiline"`
	}
	inlineSource struct {
		Path     string `toml:"path,omitempty"`
		Editable bool   `toml:"editable,omitempty"`
		Index    string `toml:"index,omitempty"`
	}
	inlineIndex struct {
		Name     string `toml:"name"`
		URL      string `toml:"url"`
		Explicit bool   `toml:"explicit"`
	}
)

// Inline gives the metadata that stands at the head of a script (PEP 723), by which `uv run SCRIPT` works at once: what
// the script itself asks for, in its version. What that requires is resolved anew. Folder is where the script will lie;
// what is edited on this machine is named by its path from there, and where that is "", by its whole path.
func (s *Set) Inline(folder string) (string, error) {
	data := inline{RequiresPython: s.requiresPython(), Dependencies: []string{}}
	sources := map[string]inlineSource{}
	var indexes []inlineIndex
	for i := range s.Packages {
		p := &s.Packages[i]
		local := p.Source != nil && p.Source.local()
		if local { // also of what something else requires: no index has it
			sources[p.Name] = inlineSource{Path: p.Source.path(folder), Editable: p.Source.Editable}
		}
		if !p.Direct && !local {
			continue
		}
		text := p.requirement()
		if local {
			text, _, _ = strings.Cut(text, "==")
		}
		if p.Marker != "" {
			text += " ; " + p.Marker
		}
		data.Dependencies = append(data.Dependencies, text)
	}
	for i, known := range s.indexes {
		name := fmt.Sprintf("index-%d", i+1)
		used := false
		for _, p := range known.names {
			if _, taken := sources[p]; !taken && s.has(p) {
				sources[p] = inlineSource{Index: name}
				used = true
			}
		}
		if used { // explicit: nothing else is looked for there
			indexes = append(indexes, inlineIndex{name, known.url, true})
		}
	}
	var b bytes.Buffer
	if err := writeInline(&b, data, sources, indexes); err != nil {
		return "", fmt.Errorf("write the metadata of the script: %w", err)
	}
	var out strings.Builder
	out.WriteString("# /// script\n")
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
	out.WriteString("# ///\n")
	return out.String(), nil
}

// writeInline writes the tables. Those of uv have a line for each source, which the encoder would write as tables.
func writeInline(b *bytes.Buffer, data inline, sources map[string]inlineSource, indexes []inlineIndex) error {
	encoder := toml.NewEncoder(b).SetIndentTables(false)
	if err := encoder.Encode(data); err != nil {
		return err
	}
	if len(sources) > 0 {
		b.WriteString("\n[tool.uv.sources]\n")
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		line := struct {
			Source inlineSource `toml:"source,inline"`
		}{sources[name]}
		text, err := toml.Marshal(line)
		if err != nil {
			return err
		}
		b.WriteString(name + strings.TrimPrefix(string(text), "source"))
	}
	for _, known := range indexes {
		b.WriteString("\n[[tool.uv.index]]\n")
		if err := encoder.Encode(known); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether the script asks for a package that an index has.
func (s *Set) has(name string) bool {
	for i := range s.Packages {
		if p := &s.Packages[i]; p.Name == name {
			return p.Direct && p.Source == nil
		}
	}
	return false
}
