// Package nbformat reads notebook documents of the versions 1 to 4.5 for their code: outputs and attachments are passed
// over, not held. Read [Cells] first. It is lenient where Jupyter is lenient: a source may be a string or a list of
// strings, and metadata, ids and execution counts may be missing.
//
// It imports the standard library alone.
package nbformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Cell is one cell of a notebook.
type Cell struct {
	Type   string // "code", "markdown", "raw"
	Source string
	ID     string
	Count  int // execution count; 0 where it was not executed
	Tags   []string
}

// Notebook is what a program needs of a notebook.
type Notebook struct {
	Format, Minor int
	Language      string // of the kernel; "" where it is not said
	Version       string // of the language: "3.11.7"; "" where it is not said
	Cells         []Cell
}

// multiline is a string, or a list of strings that are joined.
type multiline string

func (m *multiline) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		var parts []string
		if err := json.Unmarshal(data, &parts); err != nil {
			return errors.New("its source is neither a string nor a list of strings")
		}
		*m = multiline(strings.Join(parts, ""))
		// Version 3 also knew lists of lines without their newlines.
		if len(parts) > 1 && !strings.HasSuffix(parts[0], "\n") && !strings.HasSuffix(parts[0], "\r") {
			*m = multiline(strings.Join(parts, "\n"))
		}
		return nil
	}
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New("its source is neither a string nor a list of strings")
	}
	if s != nil {
		*m = multiline(*s)
	}
	return nil
}

type rawCell struct {
	Type   string     `json:"cell_type"`
	ID     any        `json:"id"`
	Source *multiline `json:"source"`
	Input  *multiline `json:"input"` // code of versions 2 and 3
	Code   *multiline `json:"code"`  // code of version 1
	Text   *multiline `json:"text"`  // text of version 1
	Count  any        `json:"execution_count"`
	Prompt any        `json:"prompt_number"`
	Level  int        `json:"level"`
	Meta   struct {
		Tags any `json:"tags"`
	} `json:"metadata"`
}

type rawNotebook struct {
	Format     *float64          `json:"nbformat"`
	Minor      float64           `json:"nbformat_minor"`
	Cells      []json.RawMessage `json:"cells"`
	Worksheets []struct {
		Cells []json.RawMessage `json:"cells"`
	} `json:"worksheets"`
	Meta struct {
		Language struct {
			Name    any `json:"name"`
			Version any `json:"version"`
		} `json:"language_info"`
		Kernel struct {
			Language any `json:"language"`
		} `json:"kernelspec"`
	} `json:"metadata"`
}

// Read reads a notebook. Its errors are one sentence that names the place.
func Read(data []byte) (*Notebook, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var raw rawNotebook
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, explain(data, err)
	}
	nb := &Notebook{Format: 1, Minor: int(raw.Minor)}
	if raw.Format != nil {
		nb.Format = int(*raw.Format)
	}
	if raw.Cells == nil && raw.Worksheets == nil {
		return nil, errors.New("this is not a notebook: it has no cells")
	}
	if nb.Format < 1 || nb.Format > 4 {
		return nil, fmt.Errorf("notebooks of version %d are not known; versions 1 to 4 are", nb.Format)
	}
	nb.Language = text(raw.Meta.Language.Name)
	if nb.Language == "" {
		nb.Language = text(raw.Meta.Kernel.Language)
	}
	nb.Version = text(raw.Meta.Language.Version)
	cells := raw.Cells
	for _, w := range raw.Worksheets {
		cells = append(cells, w.Cells...)
	}
	for i, c := range cells {
		var rc rawCell
		if err := json.Unmarshal(c, &rc); err != nil {
			return nil, fmt.Errorf("cell %d of the notebook cannot be read (/cells/%d): %w", i+1, i, err)
		}
		cell := Cell{Type: rc.Type, ID: text(rc.ID), Count: number(rc.Count)}
		if cell.Count == 0 {
			cell.Count = number(rc.Prompt)
		}
		for _, s := range []*multiline{rc.Source, rc.Input, rc.Code, rc.Text} {
			if s != nil {
				cell.Source = string(*s)
				break
			}
		}
		switch rc.Type {
		case "heading":
			cell.Type = "markdown"
			cell.Source = strings.Repeat("#", min(max(rc.Level, 1), 6)) + " " +
				strings.Join(strings.Fields(cell.Source), " ")
		case "html", "text":
			cell.Type = "markdown"
		case "":
			return nil, fmt.Errorf("cell %d of the notebook has no type (/cells/%d/cell_type)", i+1, i)
		}
		if tags, ok := rc.Meta.Tags.([]any); ok {
			for _, t := range tags {
				if s := text(t); s != "" {
					cell.Tags = append(cell.Tags, s)
				}
			}
		}
		nb.Cells = append(nb.Cells, cell)
	}
	return nb, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int {
	f, _ := v.(float64)
	if f < 0 || f > 1<<31 {
		return 0
	}
	return int(f)
}

// explain words an error of the JSON reader.
func explain(data []byte, err error) error {
	var syn *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("the notebook is empty")
	case errors.As(err, &syn) && int(syn.Offset) >= len(data):
		return fmt.Errorf("the notebook is cut off after %d bytes", len(data))
	case errors.As(err, &syn):
		return fmt.Errorf("this is not a notebook: byte %d is not JSON: %w", syn.Offset, err)
	case errors.As(err, &typ):
		return fmt.Errorf("this is not a notebook: %q is a JSON %s", "/"+strings.ReplaceAll(typ.Field, ".", "/"),
			typ.Value)
	}
	return fmt.Errorf("this is not a notebook: %w", err)
}
