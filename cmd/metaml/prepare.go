package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/metaml/metaml/cmd/internal/staging"
	"github.com/metaml/metaml/converter/decorator"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// maxFile bounds a notebook or script that is run, in bytes.
const maxFile = 256 << 20

// magicCell recognises a %%train or %%serve cell in a saved notebook, as IPython does: after leading blank lines, on
// the first line.
var magicCell = regexp.MustCompile(`^(?:[ \t]*\n)*[ \t]*%%(train|serve)(?:[ \t]+([^\n]*))?(?:\n|$)`)

// prepare makes a submission of a notebook or a script and starts the Python that answers for it. The returned function
// ends that Python and may be called twice.
func (a *app) prepare(
	ctx context.Context, file string, o runOptions, flags *pflag.FlagSet,
) (*submission, func(), error) {
	nothing := func() {}
	if o.kind != "" && o.kind != string(run.Train) && o.kind != string(run.Serve) {
		return nil, nothing, usageError{errors.New("--kind takes train or serve")}
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nothing, &usererror.Error{
			Code: usererror.CodeFile, Text: "there is no file " + file, Hint: nearestFile(file),
		}
	case err != nil:
		return nil, nothing, fmt.Errorf("look at %s: %w", file, err)
	case info.IsDir() && isProgram(file):
		return a.prepareFolder(ctx, file, o, flags)
	case info.IsDir():
		return nil, nothing, &usererror.Error{
			Code: usererror.CodeFile, Text: file + " is no program folder: it has no code/program.json",
			Hint: "metaml-nbconvert --to train makes one from a notebook.",
		}
	case info.Size() > maxFile:
		return nil, nothing, &usererror.Error{Code: usererror.CodeFile, Text: file + " is larger than 256 MiB"}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nothing, fmt.Errorf("read %s: %w", file, err)
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return nil, nothing, fmt.Errorf("find %s: %w", file, err)
	}
	s := &submission{app: a}
	var (
		kind      run.Kind
		line      string
		decorated map[string]string
	)
	if strings.EqualFold(filepath.Ext(file), ".ipynb") {
		if s.doc, err = session.FromNotebook(data, full); err != nil {
			return nil, nothing, err
		}
		if kind, s.cell, line, err = chooseCell(s.doc, run.Kind(o.kind), o.cell); err != nil {
			return nil, nothing, err
		}
	} else {
		if s.doc, err = session.FromScript(data, full); err != nil {
			return nil, nothing, err
		}
		if kind, s.function, decorated, err = chooseDecorated(string(data), run.Kind(o.kind), flags); err != nil {
			return nil, nothing, err
		}
	}
	s.doc.Cwd, s.doc.Path = filepath.Dir(full), []string{filepath.Dir(full)}
	if s.settings, err = a.settingsFor(kind, full, line, decorated, flags); err != nil {
		return nil, nothing, err
	}
	if err := s.open(ctx, o.python); err != nil {
		return nil, nothing, err
	}
	if s.model, err = resolveModel(ctx, s.client, nil, s.settings.Text("model")); err != nil {
		return nil, nothing, err
	}
	if err := s.cut(ctx); err != nil {
		return nil, nothing, err
	}
	closePython, err := s.answerFor(ctx, s.doc.Interpreter.Path)
	if err != nil {
		closePython()
		s.clean()
		return nil, nothing, err
	}
	return s, closePython, nil
}

func isProgram(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "code", "program.json"))
	return err == nil
}

// prepareFolder makes a submission of a program folder, whose hyperparameters come as a table.
func (a *app) prepareFolder(
	ctx context.Context, dir string, o runOptions, flags *pflag.FlagSet,
) (*submission, func(), error) {
	nothing := func() {}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, nothing, fmt.Errorf("find %s: %w", dir, err)
	}
	s := &submission{app: a, doc: &session.Document{V: session.Version, Kind: session.Script, Source: full, Cwd: a.cwd}}
	if s.program, err = program.Read(full); err != nil {
		return nil, nothing, &usererror.Error{
			Code: usererror.CodeProgram, Text: fmt.Sprintf("%s is no program folder that can be run: %s", dir, err),
		}
	}
	if o.kind != "" && o.kind != s.program.Kind {
		return nil, nothing, &usererror.Error{
			Code: usererror.CodeProgram, Text: fmt.Sprintf("%s is a program to %s, and --kind is %s", dir,
				s.program.Kind, o.kind),
		}
	}
	if s.program.Kind == program.Draw {
		return nil, nothing, &usererror.Error{
			Code: usererror.CodeProgram,
			Text: dir + " is a program that gives hyperparameters, which is neither trained nor served",
		}
	}
	if s.settings, err = a.settingsFor(run.Kind(s.program.Kind), filepath.Join(a.cwd, "x"), "", nil,
		flags); err != nil {
		return nil, nothing, err
	}
	if o.table != "" {
		file, err := os.Open(o.table)
		if err != nil {
			return nil, nothing, &usererror.Error{
				Code: usererror.CodeTable, Text: fmt.Sprintf("cannot read the table %s: %s", o.table,
					errors.Unwrap(err)),
			}
		}
		defer file.Close()
		if s.table, err = folder.ParseTable(file); err != nil {
			return nil, nothing, &usererror.Error{
				Code: usererror.CodeTable, Text: fmt.Sprintf("%s is no table of hyperparameters: %s", o.table, err),
				Hint: "It has a JSON object on each line.",
			}
		}
	}
	if err := s.open(ctx, o.python); err != nil {
		return nil, nothing, err
	}
	s.model, err = resolveModel(ctx, s.client, nil, s.settings.Text("model"))
	return s, nothing, err
}

// open finds the Python and the target.
func (s *submission) open(ctx context.Context, named string) error {
	python, err := s.app.findPython(named)
	if err != nil {
		return err
	}
	if s.doc.Interpreter, err = interpreterOf(ctx, python); err != nil {
		return err
	}
	if !newEnough(s.doc.Interpreter.Version) {
		return &usererror.Error{
			Code: usererror.CodePython, Text: fmt.Sprintf("%s is Python %s, and MetaML needs 3.10 or newer", python,
				s.doc.Interpreter.Version), Hint: "Name another: --python PATH.",
		}
	}
	s.doc.Interpreter.Path = python // as it was named: a venv's Python is a link
	s.client, err = s.app.client()
	return err
}

// chooseDecorated finds the function under @Train or @Serve in a script with its settings: of the kind and the name
// that are asked for, else the last under @Train, else the last under @Serve.
func chooseDecorated(
	src string, asked run.Kind, flags *pflag.FlagSet,
) (kind run.Kind, function string, given map[string]string, err error) {
	entries, err := decorator.Find(src)
	if err != nil {
		return "", "", nil, err
	}
	kind = cmp.Or(asked, run.Train)
	named := flags.Lookup("function").Value.String()
	for _, e := range entries {
		k := run.Kind(e.Kind)
		if asked != "" && k != asked || named != "" && named != e.Function ||
			function != "" && kind == run.Train && k == run.Serve {
			continue
		}
		kind, function, given = k, e.Function, e.Settings
	}
	return kind, function, given, nil
}

// chooseCell finds the cell that is to run: the one asked for, else the last %%train cell, else the last %%serve cell.
func chooseCell(doc *session.Document, asked run.Kind, number int) (kind run.Kind, seq int, line string, err error) {
	what := "%%train or %%serve cell"
	if asked != "" {
		what = "%%" + string(asked) + " cell"
	}
	var found []string
	for i, c := range doc.Cells {
		m := magicCell.FindStringSubmatch(c.Source)
		if m == nil || asked != "" && run.Kind(m[1]) != asked {
			continue
		}
		label := cmp.Or(c.Count, i+1) // as the slice and tracebacks call it
		found = append(found, strconv.Itoa(label))
		passed := kind == run.Train && run.Kind(m[1]) == run.Serve
		if number == 0 && !passed || number == label {
			kind, seq, line = run.Kind(m[1]), c.Seq, m[2]
		}
	}
	switch {
	case len(found) == 0:
		hint := "Put %%train over the cell that defines the function."
		if asked == run.Serve {
			hint = "Put %%serve over the cell that defines the function."
		}
		return "", 0, "", &usererror.Error{Code: usererror.CodeNoCell, Text: doc.Source + " has no " + what, Hint: hint}
	case seq == 0:
		return "", 0, "", &usererror.Error{
			Code: usererror.CodeNoCell, Text: fmt.Sprintf("cell %d of %s is no %s", number, doc.Source, what),
			Hint: "Those are: " + strings.Join(found, ", ") + ".",
		}
	}
	return kind, seq, line, nil
}

// answerFor starts the Python that answers for a file: it has executed the top level of the program that makes the
// hyperparameters, a slice of its own.
func (s *submission) answerFor(ctx context.Context, python string) (func(), error) {
	var temporary *staging.Folder
	if name := s.settings.Text("hyper_parameters"); name != "" {
		cut, err := slicer.Of(ctx, s.doc, slicer.Options{Function: name, Cell: s.cell, Value: true})
		if err != nil {
			return func() {}, err
		}
		p, err := program.Make(cut, program.Draw)
		if err != nil {
			return func() {}, err
		}
		if temporary, err = staging.New(); err != nil {
			return func() {}, err
		}
		if err := p.Write(filepath.Join(temporary.Path, "program")); err != nil {
			return temporary.Remove, staging.Failed(err)
		}
	}
	var dir string
	if temporary != nil {
		dir = filepath.Join(temporary.Path, "program")
	}
	p, err := startPython(ctx, python, dir, s.doc.Cwd, os.Stderr)
	if err != nil {
		return temporary.Remove, err
	}
	s.python = p
	closed := false
	return func() {
		if !closed {
			closed = true
			p.close()
			temporary.Remove()
		}
	}, nil
}

// nearestFile suggests a file of the folder whose name is close.
func nearestFile(file string) string {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".ipynb" || ext == ".py" || e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	if n := prose.Nearest(filepath.Base(file), names); n != "" {
		return "Did you mean " + filepath.Join(filepath.Dir(file), n) + "?"
	}
	return ""
}
