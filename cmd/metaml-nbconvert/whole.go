package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/converter/script"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/internal/usererror"
)

// result is what became of one notebook, as --json prints it.
type result struct {
	Input        string        `json:"input"`
	Output       string        `json:"output,omitempty"`
	Outputs      []string      `json:"outputs,omitempty"` // files beside it
	Status       string        `json:"status"`            // "written", "unchanged", "differs" (of --check), "failed"
	Error        string        `json:"error,omitempty"`
	Problems     []string      `json:"problems,omitempty"` // with --strict: what is against the format's rules
	Refused      []script.Note `json:"refused,omitempty"`
	Notes        []string      `json:"notes,omitempty"`
	Requirements []string      `json:"requirements,omitempty"`

	at    place         // of the error
	cells []int         // of the problems, from 1
	noted []script.Note // what the first of the notes are about
}

// fail is a result with an error.
func (r result) fail(err error) result {
	r.Status, r.Error = "failed", err.Error()
	if user, ok := err.(*usererror.Error); ok { //nolint:errorlint // of one that is wrapped, the text is longer
		r.Error = usererror.Sentences(user.Text, user.Hint)
	}
	if e, ok := errors.AsType[*nbformat.Error](err); ok {
		r.at = place{line: e.Line, column: e.Column}
	}
	return r
}

// whole converts a whole notebook.
func whole(ctx context.Context, o *options, j job, stdin io.Reader, stdout io.Writer) result {
	r := result{Input: j.input, Output: j.output}
	fail := func(err error) result { return r.fail(err) }
	in, err := newSource(o, j, stdin)
	if err != nil {
		return fail(err)
	}
	if o.strict && in.from == "notebook" {
		d, err := in.document()
		if err != nil {
			return fail(err)
		}
		for _, p := range d.Validate() {
			r.Problems, r.cells = append(r.Problems, p.String()), append(r.cells, p.Cell)
		}
		if len(r.Problems) > 0 {
			r.Status = "failed"
			return r
		}
	}
	if o.to != "script" {
		return document(o, in, stdout)
	}
	nb, err := in.notebook()
	if err != nil {
		return fail(err)
	}
	if !nb.IsPython() {
		for _, option := range o.ofScripts() {
			if option.given && option.python {
				return fail(fmt.Errorf("%s goes with notebooks in Python, and this is one in %s", option.name,
					nb.Language))
			}
		}
		return document(o, in, stdout)
	}
	if o.slice != "" {
		if nb, err = sliced(ctx, o, j, nb); err != nil {
			return fail(err)
		}
	}
	name := strings.TrimSuffix(filepath.Base(j.output), filepath.Ext(j.output))
	source := filepath.Base(j.input)
	if j.output == "-" {
		name = strings.TrimSuffix(source, filepath.Ext(source))
	}
	if j.input == "-" {
		source = ""
		if j.output == "-" {
			name = "notebook"
		}
	}
	how := script.Options{
		Name: name, Source: source, Percent: o.percent, QuietExpressions: o.quiet, Show: o.show,
		Parameters: o.parameters, KeepGoing: o.keepGoing,
		Open: func(other string) ([]byte, error) {
			if !filepath.IsAbs(other) && j.input != "-" {
				other = filepath.Join(filepath.Dir(j.input), other)
			}
			return os.ReadFile(other)
		},
	}
	var declared []requirements.Declaration
	if o.requirements {
		if declared, err = declarations(nb); err != nil {
			return fail(err)
		}
	}
	s, err := script.Of(ctx, nb, how)
	if err != nil {
		return fail(err)
	}
	var beside []file
	var notes []string
	if o.requirements && (len(s.Refused) == 0 || o.keepGoing) {
		needs, err := needed(ctx, o, j, nb, s, declared)
		if err != nil {
			return fail(err)
		}
		if beside, err = needFiles(o, j, needs); err != nil {
			return fail(err)
		}
		inline, err := needs.Inline(filepath.Dir(j.output))
		if err != nil {
			return fail(err)
		}
		s.Insert(inline)
		notes = append(needs.Notes, unpinned(needs)...)
	}
	if strings.HasPrefix(nb.Version, "2.") {
		notes = append(notes, "it is of Python "+nb.Version+
			": what Python 3 reads too may mean another thing, such as 1/2")
	}
	r.Refused = s.Refused
	for _, q := range s.Requirements {
		r.Requirements = append(r.Requirements, q.Command)
	}
	for _, n := range s.Notes {
		r.Notes, r.noted = append(r.Notes, n.String()), append(r.noted, n)
	}
	r.Notes = append(r.Notes, notes...)
	for _, kind := range slices.Compact(slices.Sorted(slices.Values(s.Ours))) {
		made := map[string]string{"train": "program", "serve": "server"}[kind]
		r.Notes = append(r.Notes, fmt.Sprintf(
			"the function of its %%%%%s cell is only defined; --to %s makes a %s of it", kind, kind, made))
	}
	if len(s.Refused) > 0 {
		r.Status = "failed"
		if !o.keepGoing {
			return r
		}
	}
	if o.sourceMap != "" && !o.check {
		if err := writeMap(o.sourceMap, j, s); err != nil {
			return fail(err)
		}
	}
	r = put(o, j, r, s.Text, stdout)
	if r.Error != "" {
		return r
	}
	for _, f := range beside {
		status, err := putFile(o, f.name, f.text)
		if err != nil {
			return fail(err)
		}
		if status == "differs" {
			r.Status = status
		}
		r.Outputs = append(r.Outputs, f.name)
	}
	return r
}

// put writes a text to where it belongs, or checks what is there.
func put(o *options, j job, r result, text string, stdout io.Writer) result {
	var status string
	var err error
	switch {
	case j.output == "-" && !o.check:
		status = "written"
		_, err = io.WriteString(stdout, text)
	case j.output == "-":
		status = "unchanged"
	default:
		status, err = putFile(o, j.output, text)
	}
	switch {
	case err != nil:
		r.Status, r.Error = "failed", err.Error()
	case r.Status == "":
		r.Status = status
	}
	return r
}

// putFile writes a file, or checks the one that is there.
func putFile(o *options, name, text string) (status string, err error) {
	another, err := differs(name, text)
	switch {
	case err != nil:
		return "", err
	case !another:
		return "unchanged", nil
	case o.check:
		return "differs", nil
	}
	if o.outputDir != "" {
		//nolint:gosec // G301: these are the person's files, for whom the umask lets
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return "", unwritable(name, err)
		}
	}
	if err := write(name, []byte(text)); err != nil {
		return "", unwritable(name, err)
	}
	return "written", nil
}

// resultOf is the function that stands for the results of a slice.
const resultOf = "_metaml_results"

// sliced is the notebook of what some results need, and shows them at its end.
func sliced(ctx context.Context, o *options, j job, nb *nbformat.Notebook) (*nbformat.Notebook, error) {
	name := j.input
	if name == "-" {
		name = ""
	}
	names := strings.Split(o.slice, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		if importable(names[i]) != names[i] || names[i] == "" {
			return nil, wrong("--slice names results, separated by commas; %q is no name", names[i])
		}
	}
	doc, err := session.FromCells(nb, name)
	if err != nil {
		return nil, err
	}
	tags := map[int][]string{} // by the cell's place among the code cells
	for i := range nb.Cells {
		if c := &nb.Cells[i]; c.Type == "code" {
			place := len(tags)
			tags[place+1] = c.Tags
			if script.LeavesOut(c) {
				doc.Cells[place].Source = ""
			}
		}
	}
	doc.Cells = append(doc.Cells, session.Cell{
		Seq:    len(doc.Cells) + 1,
		Source: "def " + resultOf + "():\n    return " + strings.Join(names, ", "),
	})
	s, err := slicer.Of(ctx, doc, slicer.Options{Function: resultOf})
	if err != nil {
		if user, ok := errors.AsType[*usererror.Error](err); ok {
			place := fmt.Sprintf(" (cell %d, line 2)", len(doc.Cells))
			user.Text = strings.ReplaceAll(user.Text, place, "")
			user.Text = strings.ReplaceAll(user.Text, resultOf+" uses", "--slice names")
			return nil, user
		}
		return nil, err
	}
	out := &nbformat.Notebook{Format: nb.Format, Minor: nb.Minor, Language: nb.Language, Version: nb.Version}
	last := -1
	for _, st := range s.Statements {
		if slices.Contains(st.Defines, resultOf) {
			continue
		}
		text := strings.Join(append(slices.Clone(st.Lead), st.Text), "\n")
		if st.Cell != last || len(out.Cells) == 0 {
			out.Cells = append(out.Cells, nbformat.Cell{
				Type: "code", Source: text, Count: s.Label(st.Cell), Tags: tags[st.Cell],
			})
			last = st.Cell
			continue
		}
		out.Cells[len(out.Cells)-1].Source += "\n" + text
	}
	out.Cells = append(out.Cells, nbformat.Cell{Type: "code", Source: strings.Join(names, ", ")})
	return out, nil
}

// writeMap writes the source map.
func writeMap(file string, j job, s *script.Script) error {
	data, err := json.MarshalIndent(struct {
		V      int           `json:"v"`
		Source string        `json:"source"`
		Lines  []script.Line `json:"lines"`
	}{program.Version, j.input, append([]script.Line{}, s.Lines...)}, "", " ")
	if err != nil {
		return fmt.Errorf("write the source map: %w", err)
	}
	if err := write(file, append(data, '\n')); err != nil {
		return unwritable(file, err)
	}
	return nil
}
