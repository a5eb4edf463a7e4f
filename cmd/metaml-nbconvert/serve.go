package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/decorator"
	"github.com/metaml/metaml/converter/flask"
	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	runtypes "github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/staging"
	"github.com/metaml/metaml/internal/usererror"
)

// has says that a document has a cell with the magic, or a function with the decorator.
func has(doc *session.Document, kind string) bool {
	for i := range doc.Cells {
		if name, _ := ipython.OwnMagic(doc.Cells[i].Source); name == kind {
			return true
		}
		if strings.Contains(doc.Cells[i].Source, "metaml") {
			entries, err := decorator.Find(doc.Cells[i].Source)
			for _, e := range entries {
				if err == nil && e.Kind == kind {
					return true
				}
			}
		}
	}
	return false
}

// cutServer slices the function that answers. What a pickle of the notebook's training may name comes along, if the
// function loads a model.
func cutServer(ctx context.Context, o *options, doc *session.Document) (*slicer.Slice, error) {
	if o.function == "" && doc.Kind != session.Live && !has(doc, "serve") {
		return nil, usererror.At(usererror.CodeNoFunction, 0, 0,
			"nothing says which function is to answer: there is no %%%%serve cell and no @Serve").
			With("Name it: --function NAME.")
	}
	chosen := slicer.Options{Function: o.function, Magic: "serve"}
	s, err := slicer.Of(ctx, doc, chosen)
	if err != nil || !flask.UsesModel(s) || !has(doc, "train") {
		return s, err
	}
	trained := 0 // the last training before the server
	for i := range doc.Cells {
		if name, _ := ipython.OwnMagic(doc.Cells[i].Source); name == "train" && doc.Cells[i].Seq < s.Entry.Cell {
			trained = doc.Cells[i].Seq
		}
	}
	training, err := slicer.Of(ctx, doc, slicer.Options{Magic: "train", Cell: trained})
	if err != nil {
		return s, nil // the training is not what is converted; the server may well do without its classes
	}
	p, err := program.Make(training, program.Train)
	if err != nil {
		return nil, err
	}
	made, err := staging.New()
	if err != nil {
		return nil, err
	}
	defer made.Remove()
	dir := made.Path
	if err := p.Write(filepath.Join(dir, "program")); err != nil {
		return nil, err
	}
	chosen.Definitions = program.Code(filepath.Join(dir, "program"))
	if s, err = slicer.Of(ctx, doc, chosen); err == nil {
		asTyped(s, training)
	}
	return s, err
}

// asTyped gives the definitions that came along the comments and blank lines that they have in the notebook.
func asTyped(s, training *slicer.Slice) {
	for i := range s.Statements {
		for _, typed := range training.Statements {
			if st := &s.Statements[i]; st.Origin == "model" && len(st.Defines) > 0 &&
				slices.Equal(st.Defines, typed.Defines) {
				st.Text, st.Lead = typed.Text, typed.Lead
			}
		}
	}
}

// application writes the Flask application, with the settings that the cell's line or the decorator has. open says that
// it lets in whom the server does not.
func application(j job, doc *session.Document, s *slicer.Slice) (text, open string, err error) {
	var from settings.Sources
	for i := range doc.Cells {
		c := &doc.Cells[i]
		if c.Seq != s.Entry.Cell {
			continue
		}
		name, line := ipython.OwnMagic(c.Source)
		if name == "serve" {
			given, err := settings.ParseLine(runtypes.Serve, line)
			if err != nil {
				return "", "", inCell(s, err)
			}
			from.Cell = given
		}
		entries, err := decorator.Find(c.Source)
		if err != nil {
			return "", "", err
		}
		for _, e := range entries {
			if e.Function == s.Entry.Name && e.Kind == "serve" {
				from.Decorator = e.Settings
			}
		}
	}
	r, err := settings.Resolve(runtypes.Serve, from)
	if err != nil {
		return "", "", inCell(s, err)
	}
	if r.Text("auth") == runtypes.AuthToken {
		open = "the application asks for no token, as --auth token has a server do: put a proxy before it that does"
	}
	text, err = flask.Application(s, flask.Options{
		Path: r.Text("url"), Host: r.Text("host"), Port: int(r.Int("port")),
		Workers: r.Replicas().Min * int(r.Int("workers")), Batch: r.Int("batch") > 0,
		File: applicationFile(j),
	})
	return text, open, err
}

// inCell adds the place to a mistake on the line of a cell.
func inCell(s *slicer.Slice, err error) error {
	if user, ok := errors.AsType[*usererror.Error](err); ok {
		return usererror.At(usererror.CodeOption, s.Entry.Cell, 0, "cell %d: %s", s.Label(s.Entry.Cell),
			user.Text).With("%s", user.Hint)
	}
	return err
}

// applicationFile is the name that the application's own instructions use.
func applicationFile(j job) string {
	if j.output != "-" {
		return filepath.Base(j.output)
	}
	if j.input == "-" {
		return "notebook_app.py"
	}
	base := filepath.Base(j.input)
	return importable(strings.TrimSuffix(base, filepath.Ext(base))+"_app") + ".py"
}
