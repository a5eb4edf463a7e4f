package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/usererror"
)

// functions cuts a function out of each notebook, and gives the exit code.
func functions(ctx context.Context, o *options, all []job, stdin io.Reader, stdout, stderr io.Writer) int {
	code := 0
	for _, j := range all {
		err := convert(ctx, o, j, stdin, stdout, stderr)
		if ctx.Err() != nil {
			return exitInterrupted
		}
		if err == nil {
			continue
		}
		code = 1
		if errors.Is(err, errIncomplete) {
			continue // the notes have said why
		}
		_, _ = fmt.Fprintf(stderr, "metaml-nbconvert: %v\n", err)
	}
	return code
}

// errIncomplete says that what was written lacks something that it needs, which a note says.
var errIncomplete = errors.New("something that the program needs was left out")

func convert(ctx context.Context, o *options, j job, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	doc, err := read(j, stdin)
	if err != nil {
		return err
	}
	s, err := cut(ctx, o, doc)
	if err != nil {
		if _, ok := errors.AsType[*usererror.Error](err); ok {
			return fmt.Errorf("%s: %w", j.input, err)
		}
		return err
	}
	incomplete := false
	for _, n := range s.Notes {
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", j.input, usererror.Sentences(n.Text, n.Hint))
		incomplete = incomplete || n.Code == slicer.NoteLeftOut
	}
	defer func() {
		if err == nil && incomplete && !o.explain {
			err = errIncomplete
		}
	}()
	if o.explain {
		if !o.asJSON {
			stdout = view.Stream{To: stdout}
		}
		return explain(s, o.asJSON, stdout)
	}
	var text string
	switch o.to {
	case "train":
		p, err := program.Make(s, program.Train)
		if err != nil {
			return err
		}
		writing.RLock()
		defer writing.RUnlock()
		return p.Write(j.output)
	case "serve":
		var open string
		if text, open, err = application(j, doc, s); err != nil {
			return fmt.Errorf("%s: %w", j.input, err)
		}
		if open != "" {
			_, _ = fmt.Fprintf(stderr, "%s: %s\n", j.input, open)
		}
	default:
		text = program.Script(s)
	}
	for _, m := range s.Modules {
		if m.Source != nil || j.output == "-" {
			continue // the script writes it
		}
		remark := ""
		if o.to == "script" {
			remark = " (--to train brings it along)"
		}
		_, _ = fmt.Fprintf(stderr, "%s: the script imports %s, which must stand beside it%s\n", j.input,
			filepath.Base(m.File), remark)
	}
	r := put(o, j, result{Input: j.input}, text, stdout)
	switch r.Status {
	case "failed":
		return errors.New(r.Error)
	case "differs":
		return errors.New(j.output + missing)
	}
	return nil
}

// cut slices the document as the options say.
func cut(ctx context.Context, o *options, doc *session.Document) (*slicer.Slice, error) {
	if o.to == "serve" {
		return cutServer(ctx, o, doc)
	}
	chosen := slicer.Options{Function: o.function}
	if has(doc, "train") {
		chosen.Magic = "train"
	}
	return slicer.Of(ctx, doc, chosen)
}

// read gives the session that a function is cut out of.
func read(j job, stdin io.Reader) (*session.Document, error) {
	in := &source{job: j, from: "notebook", stdin: stdin}
	name := j.input
	if name == "-" {
		name = ""
	}
	extension := filepath.Ext(j.input)
	if extension != ".py" && extension != ".json" {
		nb, err := in.notebook()
		if err != nil {
			return nil, err
		}
		return session.FromCells(nb, name)
	}
	data, err := in.read()
	if err != nil {
		return nil, err
	}
	if extension == ".py" {
		return session.FromSource(data, name)
	}
	return session.Read(bytes.NewReader(data))
}

// explain says why each statement is in.
func explain(s *slicer.Slice, asJSON bool, w io.Writer) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	_, err := io.WriteString(w, s.Explain())
	return err
}
