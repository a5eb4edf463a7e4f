package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/jupytext"
	"github.com/metaml/metaml/converter/nbformat"
)

// document makes a notebook of version 4.5, or text that stands for the notebook: percent, markdown, and the script of
// one in another language than Python.
func document(o *options, s *source, stdout io.Writer) result {
	r := result{Input: s.input, Output: s.output}
	fail := func(err error) result { return r.fail(err) }
	read := s.text
	if o.to == "notebook" {
		read = s.document
	}
	d, err := read()
	if err != nil {
		return fail(err)
	}
	if major, _ := d.Version(); o.to == "notebook" || major < 4 {
		for _, w := range d.Upgrade() {
			r.Notes = append(r.Notes, w.String())
		}
	}
	var text []byte
	extension := ""
	switch o.to {
	case "notebook":
		if s.from != "notebook" {
			keepOutputs(d, s.output)
		}
		text = d.Bytes()
	case "percent":
		text, err = jupytext.Percent(d, jupytext.Options{})
		extension = jupytext.Extension(d)
	case "markdown":
		text, err = jupytext.Markdown(d, jupytext.Options{})
	default:
		text, extension, err = jupytext.Script(d)
	}
	if err != nil {
		return fail(fmt.Errorf("%s: %w", s.called(), err))
	}
	if extension != "" && o.output == "" && s.output != "-" {
		s.output = strings.TrimSuffix(s.output, filepath.Ext(s.output)) + extension
		if r.Output = s.output; same(s.output, s.input) {
			return fail(fmt.Errorf("%s: the script would replace its own source; name another file with -o", s.input))
		}
	}
	return put(o, s.job, r, string(text), stdout)
}

// keepOutputs gives a notebook that was made of text the outputs, counts and ids of the one that it replaces, where the
// source of a cell is the same.
func keepOutputs(d *nbformat.Document, output string) {
	data, err := os.ReadFile(output)
	if err != nil {
		return // there is none, or put says why it cannot be replaced
	}
	if before, err := nbformat.Parse(data); err == nil {
		jupytext.Keep(d, before)
	}
}
