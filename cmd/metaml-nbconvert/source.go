package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/jupytext"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/usererror"
)

// source is the input of a job. A notebook in a file is read in a stream; what else there is, is held.
type source struct {
	job
	from  string // "notebook", "percent", "markdown" or "databricks"
	stdin io.Reader
	held  []byte // the whole input, where it was read
	lean  []byte // the notebook without its outputs, where that was read
	whole *nbformat.Document
}

// newSource finds out what a job's input is.
func newSource(o *options, j job, stdin io.Reader) (*source, error) {
	s := &source{job: j, from: o.from, stdin: stdin}
	if s.from != "" {
		return s, nil
	}
	extension := strings.ToLower(filepath.Ext(j.input))
	switch {
	case extension == ".json":
		return nil, fmt.Errorf("%s is a session: name a function of it with --function NAME", j.input)
	case extension == ".md":
		s.from = "markdown"
	case jupytext.LanguageOf(filepath.Ext(j.input)) != "":
		data, err := s.read()
		switch {
		case err != nil:
			return nil, err
		case extension == ".py" && jupytext.IsDatabricks(data):
			s.from = "databricks"
			return s, nil
		case !jupytext.HasCells(data, filepath.Ext(j.input)):
			if extension == ".py" {
				return nil, fmt.Errorf("%s is a script already: cut a function out of it with --function NAME", j.input)
			}
			return nil, fmt.Errorf(`%s is a script already: mark its cells by "# %%%%"`, j.input)
		}
		s.from = "percent"
	default:
		s.from = "notebook"
	}
	return s, nil
}

// open gives the input as it is.
func (s *source) open() (io.ReadCloser, error) {
	switch {
	case s.held != nil:
		return io.NopCloser(bytes.NewReader(s.held)), nil
	case s.input == "-":
		return io.NopCloser(s.stdin), nil
	}
	f, err := os.Open(s.input)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w", s.input, usererror.SystemReason(err))
	}
	return f, nil
}

// read gives the whole input.
func (s *source) read() ([]byte, error) {
	if s.held != nil {
		return s.held, nil
	}
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, nbformat.MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", s.called(), usererror.SystemReason(err))
	case len(data) > nbformat.MaxSize:
		return nil, fmt.Errorf("%s is larger than 1 GiB", s.called())
	}
	s.held = data
	return data, nil
}

// document is the whole notebook.
func (s *source) document() (*nbformat.Document, error) {
	if s.whole != nil {
		return s.whole, nil
	}
	data, err := s.read()
	if err != nil {
		return nil, err
	}
	var d *nbformat.Document
	switch s.from {
	case "percent":
		d, err = jupytext.FromPercent(data, s.script())
	case "databricks":
		d, err = jupytext.FromDatabricks(data, jupytext.Options{})
	case "markdown":
		d, err = jupytext.FromMarkdown(data, jupytext.Options{})
	default:
		d, err = nbformat.Parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.called(), err)
	}
	s.whole = d
	return d, nil
}

// script says in which language a script is: in that of its extension.
func (s *source) script() jupytext.Options {
	extension := filepath.Ext(s.input)
	if jupytext.LanguageOf(extension) == "" {
		extension = "" // its header says it, or it is Python
	}
	return jupytext.Options{Extension: extension}
}

// text is the notebook without its outputs, where these were not read before.
func (s *source) text() (*nbformat.Document, error) {
	if s.from != "notebook" || s.whole != nil {
		return s.document()
	}
	if s.lean == nil {
		if _, err := s.leanly(); err != nil {
			return nil, err
		}
	}
	d, err := nbformat.Parse(s.lean)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.called(), err)
	}
	return d, nil
}

// leanly reads the notebook once for its code and for its text.
func (s *source) leanly() (*nbformat.Notebook, error) {
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	nb, text, err := nbformat.ReadLean(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.called(), err)
	}
	s.lean = text
	return nb, nil
}

// notebook is the code and text of the notebook.
func (s *source) notebook() (*nbformat.Notebook, error) {
	if s.from == "notebook" && s.held == nil && (s.input == "-" || special(s.input)) {
		return s.leanly() // it cannot be read a second time
	}
	var in io.ReadCloser
	var err error
	if s.from == "notebook" {
		in, err = s.open()
	} else {
		var d *nbformat.Document
		if d, err = s.document(); err == nil {
			in = io.NopCloser(bytes.NewReader(d.Bytes()))
		}
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	nb, err := nbformat.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.called(), err)
	}
	return nb, nil
}

// called is how messages call the notebook.
func (j job) called() string {
	if j.input == "-" {
		return "the input"
	}
	return j.input
}
