package main

import (
	"fmt"
	"io"
	"os"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/internal/usererror"
)

// document reads the whole notebook of a job. With --strict it has to keep the format's rules.
func document(j job, stdin io.Reader) (*nbformat.Document, error) {
	in := stdin
	if j.input != "-" {
		f, err := os.Open(j.input)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be opened: %w", j.input, usererror.SystemReason(err))
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, nbformat.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", j.called(), err)
	}
	if len(data) > nbformat.MaxSize {
		return nil, fmt.Errorf("%s is larger than 1 GiB", j.called())
	}
	d, err := nbformat.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.called(), err)
	}
	return d, nil
}

// problems are what a document has against the format's rules, as messages.
func problems(d *nbformat.Document) []string {
	var all []string
	for _, p := range d.Validate() {
		all = append(all, p.String())
	}
	return all
}

// upgraded makes version 4.5 of a notebook, and writes it as it was where nothing had to change.
func upgraded(o *options, j job, stdin io.Reader, stdout io.Writer) result {
	r := result{Input: j.input, Output: j.output}
	d, err := document(j, stdin)
	if err != nil {
		r.Status, r.Error = "failed", err.Error()
		return r
	}
	if o.strict {
		if r.Problems = problems(d); len(r.Problems) > 0 {
			r.Status = "failed"
			return r
		}
	}
	for _, w := range d.Upgrade() {
		r.Notes = append(r.Notes, w.String())
	}
	return put(o, j, r, string(d.Bytes()), stdout)
}

// called is how messages call the notebook.
func (j job) called() string {
	if j.input == "-" {
		return "the input"
	}
	return j.input
}
