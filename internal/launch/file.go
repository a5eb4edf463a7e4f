package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/decorator"
	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/staging"
	"github.com/metaml/metaml/internal/usererror"
)

// Source is a file that is launched: a notebook, a script or a program folder.
type Source struct {
	File   string
	Kind   run.Kind         // "": as the cell, the decorator or the program folder says
	Cell   int              // of a notebook: number of the cell, [N] or its place among the code cells; 0 is the last
	Python string           // the interpreter that runs it; "" is the one of the active environment
	Table  string           // of a program folder: a file of hyperparameters
	Given  []settings.Given // options of the command line
	Export bool             // what runs is exported, not submitted
	Build  bool             // an image is made of it, and nothing runs
}

// value gives an option of the command line, or "".
func (src *Source) value(name string) string {
	for _, g := range src.Given {
		if g.Def.Name == name {
			return g.Value
		}
	}
	return ""
}

// Open makes a submission of a file and starts the Python that answers for it. Close the submission.
func (l *Launcher) Open(ctx context.Context, src Source) (*Submission, error) {
	s := &Submission{launcher: l, export: src.Export, build: src.Build}
	if err := s.read(ctx, src); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// read goes from a file to a submission that can be planned.
func (s *Submission) read(ctx context.Context, src Source) error {
	if src.Kind != "" && src.Kind != run.Train && src.Kind != run.Serve {
		return usererror.New(usererror.CodeOption, "--kind takes train or serve, not %s", src.Kind)
	}
	full, folder, err := s.locate(src.File)
	if err != nil {
		return err
	}
	var kind run.Kind
	from := settings.Sources{
		Line: src.Given, Typed: settings.FromCommand, Environ: s.launcher.Environ, Dir: s.launcher.Dir,
	}
	read := s.readFile
	if folder {
		read = s.readFolder
	}
	if kind, err = read(src, full, &from); err != nil {
		return err
	}
	if src.Build {
		from.Line = onCluster(from.Line)
	}
	if s.Settings, err = s.launcher.resolve(kind, from); err != nil {
		return err
	}
	if src.Build {
		if err := settings.MakesNoImage(s.Settings); err != nil {
			return err
		}
	}
	if s.export {
		client, err := s.launcher.Client()
		if err != nil {
			return err
		}
		if err := client.CheckExport(s.Settings); err != nil {
			return err
		}
	}
	if err := s.findInterpreter(ctx, src.Python); err != nil {
		return err
	}
	if err := s.open(ctx, nil); err != nil {
		return err
	}
	if folder {
		if !s.Settings.MakesImage() {
			return nil
		}
		return s.answer(ctx, "", "", nil) // what its image is made of
	}
	if err := s.cut(ctx); err != nil {
		return err
	}
	return s.answerFor(ctx)
}

// locate finds the file, and whether it is a program folder.
func (s *Submission) locate(file string) (full string, folder bool, err error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, &usererror.Error{
			Code: usererror.CodeFile, Text: "there is no file " + file, Hint: nearestFile(file),
		}
	case err != nil:
		return "", false, fmt.Errorf("look at %s: %w", file, err)
	case info.IsDir() && !isProgram(file):
		return "", false, usererror.New(usererror.CodeFile, "%s is no program folder: it has no code/program.json",
			file).
			With("metaml-nbconvert --to train makes one from a notebook.")
	}
	if full, err = filepath.Abs(file); err != nil {
		return "", false, fmt.Errorf("find %s: %w", file, err)
	}
	return full, info.IsDir(), nil
}

// readFile reads a notebook or a script, and finds what of it is to run with which settings.
func (s *Submission) readFile(src Source, full string, from *settings.Sources) (run.Kind, error) {
	if src.Table != "" {
		return "", usererror.New(usererror.CodeOption, "--table is for a program folder").
			With("Name what gives the hyperparameters: --hyper-parameters NAME.")
	}
	var err error
	if s.doc, err = session.FromFile(full, src.File); err != nil {
		return "", err
	}
	s.doc.Cwd, s.doc.Path = filepath.Dir(full), []string{filepath.Dir(full)}
	from.File = settings.FindFile(s.doc.Cwd)
	var kind run.Kind
	if s.doc.Kind == session.Script {
		if src.Cell != 0 {
			return "", usererror.New(usererror.CodeOption, "--cell is for a notebook, and %s is a script", src.File).
				With("Name the function: --function NAME.")
		}
		kind, s.function, from.Decorator, err = chooseDecorated(s.doc.Cells[0].Source, src.Kind, src.value("function"))
		return kind, err
	}
	var line string
	if kind, s.cell, line, err = chooseCell(s.doc, src.Kind, src.Cell); err != nil {
		return "", err
	}
	from.Cell, err = settings.ParseLine(kind, line)
	if errors.Is(err, settings.ErrHelp) { // in the notebook the cell shows it
		err = nil
	}
	return kind, err
}

func isProgram(dir string) bool {
	_, err := os.Stat(filepath.Join(program.Code(dir), "program.json"))
	return err == nil
}

// readFolder reads a program folder, whose hyperparameters come as a table.
func (s *Submission) readFolder(src Source, full string, from *settings.Sources) (run.Kind, error) {
	s.doc = &session.Document{V: session.Version, Kind: session.Script, Source: full, Cwd: s.launcher.Dir}
	from.File = settings.FindFile(s.launcher.Dir)
	refuse := func(format string, args ...any) error {
		return usererror.New(usererror.CodeProgram, format, args...)
	}
	if src.Cell != 0 {
		return "", usererror.New(usererror.CodeOption, "--cell is for a notebook, and %s is a program folder", src.File)
	}
	var err error
	if s.program, err = program.Read(full); err != nil {
		return "", refuse("%s is no program folder that can be run: %s", src.File, err)
	}
	kind := run.Kind(s.program.Kind)
	if src.Kind != "" && src.Kind != kind {
		return "", refuse("%s is a program to %s, and --kind is %s", src.File, kind, src.Kind)
	}
	if s.program.Kind == program.Draw {
		return "", refuse("%s is a program that gives hyperparameters, which is neither trained nor served", src.File)
	}
	if src.Table == "" {
		return kind, nil
	}
	file, err := os.Open(src.Table)
	if err != nil {
		return "", usererror.New(usererror.CodeTable, "cannot read the table %s: %s", src.Table, errors.Unwrap(err))
	}
	defer file.Close()
	if s.table, err = folder.ParseTable(file); err != nil {
		return "", usererror.New(usererror.CodeTable, "%s is no table of hyperparameters: %s", src.Table, err).
			With("It has a JSON object on each line.")
	}
	return kind, nil
}

// findInterpreter finds the Python that runs the program.
func (s *Submission) findInterpreter(ctx context.Context, named string) error {
	python, err := s.launcher.FindPython(named)
	if err != nil {
		return err
	}
	memory := s.launcher.memoryOf(python)
	if !memory.recall("interpreter", &s.doc.Interpreter) {
		if s.doc.Interpreter, err = Interpreter(ctx, python); err != nil {
			return err
		}
		memory.keep("interpreter", s.doc.Interpreter, nil)
	}
	s.doc.Interpreter.Path = python // as it was named: a venv's Python is a link
	return nil
}

// chooseDecorated finds the function under @Train or @Serve in a script with its settings: of the kind and the name
// that are named, else the last under @Train, else the last under @Serve.
func chooseDecorated(
	src string, only run.Kind, named string,
) (kind run.Kind, function string, given map[string]any, err error) {
	entries, err := decorator.Find(src)
	if err != nil {
		return "", "", nil, err
	}
	kind = cmp.Or(only, run.Train)
	for _, e := range entries {
		k := run.Kind(e.Kind)
		if only != "" && k != only || named != "" && named != e.Function ||
			function != "" && kind == run.Train && k == run.Serve {
			continue
		}
		kind, function, given = k, e.Function, e.Settings
	}
	return kind, function, given, nil
}

// chooseCell finds the cell that is to run: the one named, else the last %%train cell, else the last %%serve cell.
func chooseCell(doc *session.Document, only run.Kind, number int) (kind run.Kind, seq int, line string, err error) {
	what := "%%train or %%serve cell"
	if only != "" {
		what = "%%" + string(only) + " cell"
	}
	var cells []string
	for i, c := range doc.Cells {
		magic, rest := ipython.OwnMagic(c.Source)
		if magic == "" || only != "" && run.Kind(magic) != only {
			continue
		}
		label := cmp.Or(c.Count, i+1) // as the slice and tracebacks call it
		cells = append(cells, strconv.Itoa(label))
		passed := kind == run.Train && run.Kind(magic) == run.Serve
		if number == 0 && !passed || number == label {
			kind, seq, line = run.Kind(magic), c.Seq, rest
		}
	}
	switch {
	case len(cells) == 0:
		hint := "Put %%train over the cell that defines the function."
		if only == run.Serve {
			hint = "Put %%serve over the cell that defines the function."
		}
		return "", 0, "", &usererror.Error{Code: usererror.CodeNoCell, Text: doc.Source + " has no " + what, Hint: hint}
	case seq == 0:
		return "", 0, "", &usererror.Error{
			Code: usererror.CodeNoCell, Text: fmt.Sprintf("cell %d of %s is no %s", number, doc.Source, what),
			Hint: "Those are: " + strings.Join(cells, ", ") + ".",
		}
	}
	return kind, seq, line, nil
}

// answerFor starts the Python that answers for a file: it has executed the top level of the program that makes the
// hyperparameters, a slice of its own.
func (s *Submission) answerFor(ctx context.Context) error {
	dir, digest := "", ""
	var temporary *staging.Folder
	if name := s.Settings.Text("hyper_parameters"); name != "" {
		cut, err := slicer.Of(ctx, s.doc, slicer.Options{
			Function: name, Cell: s.cell, Value: true, Variables: s.variablesThatAreSet,
		})
		if err != nil {
			return err
		}
		p, err := program.Make(cut, program.Draw)
		if err != nil {
			return err
		}
		if temporary, err = staging.New(); err != nil {
			return err
		}
		s.end = temporary.Remove
		dir, digest = filepath.Join(temporary.Path, "program"), p.Digest
		if err := p.Write(dir); err != nil {
			return staging.Failed(err)
		}
	}
	return s.answer(ctx, dir, digest, temporary)
}

// answer starts the Python of the submission, which executes the top level of the program in dir, if there is one: what
// that has loaded counts, too. digest is the program's.
func (s *Submission) answer(ctx context.Context, dir, digest string, temporary *staging.Folder) error {
	start := func(ctx context.Context) (*answering, error) {
		return s.launcher.startPython(ctx, s.doc.Interpreter.Path, dir, s.doc.Cwd)
	}
	p := &remembering{start: start}
	if dir == "" || s.build { // else it is needed for the hyperparameters anyway
		p.memory = s.launcher.memoryOf(s.doc.Interpreter.Path)
		p.memory.who += digest
	}
	if p.memory.folder == "" { // it starts beside what else is to be done
		var err error
		if p.python, err = start(ctx); err != nil {
			return err
		}
	}
	s.python = p
	s.end = func() {
		p.close()
		temporary.Remove()
	}
	return nil
}

// nearestFile suggests a file of the folder whose name is close.
func nearestFile(file string) (hint string) {
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
