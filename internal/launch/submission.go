package launch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/staging"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// Submission is the way from a session document to a plan: slice → program → plan. Everything it needs from Python it
// requests.
type Submission struct {
	Settings *settings.Resolved

	launcher *Launcher
	client   *deployer.Client
	doc      *session.Document
	cell     int    // seq of the cell with the magic, 0 for the last
	function string // entry, where the caller knows it; the setting wins
	python   answers
	living   bool // python is the session itself, with its variables, not a process that answers for a file
	export   bool // what is planned is exported
	build    bool // an image is made of it, and nothing runs

	slice    *slicer.Slice
	program  *program.Program
	packages map[string]talk.Distribution
	// environment is what an image is made of; nil where none is.
	environment *run.Environment
	shipped     map[string]talk.Shipped
	expected    *expected         // the session's values of the names that the program keeps
	table       []run.Row         // hyperparameters that were given as a file
	model       deployer.Model    // of a server
	included    map[string]string // path that goes with the program → digest
	example     string            // of a server: an input, JSON
	staging     *staging.Folder   // holds the program folder until the target takes it
	end         func()            // of the Python that answers for a file
}

// cut slices the session: which statements the entry needs. It requests nothing but names.
func (s *Submission) cut(ctx context.Context) error {
	function := s.Settings.Text("function")
	if function == "" {
		function = s.function
	}
	options := slicer.Options{
		Function: function, Cell: s.cell, With: s.Settings.List("with"), Definitions: s.model.Code,
		Variables: s.variablesThatAreSet,
		Check:     s.doc.Kind == session.Live,
	}
	if s.python != nil {
		options.Describe = func(ctx context.Context, names []string) (map[string]session.Name, error) {
			return describe(ctx, s.python, talk.Need{Describe: names})
		}
	}
	if python := s.session(); python != nil {
		options.Exports = func(ctx context.Context, modules []string) (map[string][]string, error) {
			have, err := python.ask(ctx, talk.Need{Stars: modules})
			return have.Stars, err
		}
	}
	var err error
	if s.slice, err = slicer.Of(ctx, s.doc, options); err != nil {
		return err
	}
	if s.Settings.Kind == run.Serve && s.model.Name == "" && s.slice.Model != "" {
		return s.named(ctx)
	}
	s.program, err = program.Make(s.slice, string(s.Settings.Kind))
	return err
}

// named takes the run that the program itself names, metaml.model("train-model"), for its model, and cuts again with
// what its pickles name: a worker that is started later loads the same, whatever was trained meanwhile.
func (s *Submission) named(ctx context.Context) error {
	var err error
	if s.model, err = s.client.Model(ctx, s.slice.Model); err != nil {
		return noModel(err, fmt.Sprintf("metaml.model(%q)", s.slice.Model), runHint, false)
	}
	return s.cut(ctx)
}

// stage writes the program folder where the target can take it with a rename.
func (s *Submission) stage() error {
	var err error
	if s.staging, err = staging.New(); err != nil {
		return err
	}
	return staging.Failed(s.write(filepath.Join(s.staging.Path, "program")))
}

// write writes the program folder, with what is known of the session.
func (s *Submission) write(folder string) error {
	if err := s.program.Write(folder); err != nil {
		return err
	}
	var err error
	if s.included, err = s.include(folder); err != nil {
		return err
	}
	if s.slice == nil {
		return nil
	}
	if err := writeExpected(folder, s.expected); err != nil {
		return err
	}
	doc, err := json.Marshal(s.doc)
	if err != nil {
		return fmt.Errorf("write the session document: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, "session.json"), doc, 0o600)
}

// Close ends the Python that answers for a file, and removes what nobody took. It may be called twice.
func (s *Submission) Close() {
	if s.end != nil {
		s.end()
		s.end = nil
	}
	s.staging.Remove()
}

// Plan requests what the plan needs and makes it.
func (s *Submission) Plan(ctx context.Context) (*deployer.Plan, error) {
	var err error
	if s.example, err = resolveExample(ctx, s.session(), s.Settings.Text("example")); err != nil {
		return nil, err
	}
	if err := s.seedWins(); err != nil {
		return nil, err
	}
	s.memory()
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	if err := s.stage(); err != nil {
		return nil, err
	}
	environ, err := s.environ(ctx)
	if err != nil {
		return nil, err
	}
	p := s.program
	var parameters, required []string
	for _, q := range p.Parameters {
		if q.Kind == slicer.VarPosition || q.Kind == slicer.VarKeyword {
			continue
		}
		parameters = append(parameters, q.Name)
		if !q.HasDefault {
			required = append(required, q.Name)
		}
	}
	if slices.ContainsFunc(p.Parameters, func(q slicer.Parameter) bool { return q.Kind == slicer.VarKeyword }) {
		parameters = nil // it takes any
	}
	request := deployer.Request{
		Program:       filepath.Join(s.staging.Path, "program"),
		Digest:        p.Digest,
		Entry:         p.Entry,
		Parameters:    parameters,
		Required:      required,
		Whole:         wholeRow(p.Parameters),
		Settings:      s.Settings,
		Source:        cmp.Or(s.doc.Source, s.doc.Cwd),
		Python:        s.doc.Interpreter.Path,
		Cwd:           s.doc.Cwd,
		Path:          s.doc.Path,
		Environ:       environ,
		Reseed:        p.Reseed,
		Seeded:        p.Seeded,
		SelfSeeded:    p.SelfSeeded,
		Packages:      map[string]string{},
		Modules:       map[string]string{},
		Environment:   s.environment,
		PythonVersion: p.Python,
		With:          map[string]string{},
		Include:       s.included,
		Draw:          s.draw,
		Table:         s.table,
		Model:         s.model,
		Example:       s.example,
		Export:        s.export,
		Now:           time.Now(),
	}
	for module, d := range s.packages {
		request.Packages[d.Name] = d.Version
		request.Modules[module] = d.Name
	}
	for name, v := range s.shipped {
		request.With[name] = v.Digest
	}
	plan, err := s.client.Plan(ctx, request)
	if err != nil {
		return nil, err
	}
	if err := s.before(ctx, plan); err != nil {
		return nil, err
	}
	plan.Notes = append(plan.Notes, s.seedNotes(plan)...)
	if s.slice != nil {
		for i := range s.slice.Notes {
			plan.Notes = append(plan.Notes, usererror.Sentences(s.slice.Notes[i].Text, s.slice.Notes[i].Hint))
		}
	}
	return plan, nil
}

// mayBeDict are the annotations of a parameter that may take a whole row as one dict.
var mayBeDict = regexp.MustCompile(`^["']?(\w+\.)*(dict|Dict|Mapping|MutableMapping|Any|object)(\[.*\])?( *\| ` +
	`*None)?["']?$`)

// wholeRow is the function's only parameter, if that may be a dict, else the zero value.
func wholeRow(parameters []slicer.Parameter) deployer.Whole {
	var only deployer.Whole
	for i := range parameters {
		switch q := &parameters[i]; {
		case q.Kind == slicer.VarPosition:
		case q.Kind == slicer.VarKeyword || only.Name != "" ||
			q.Annotation != "" && !mayBeDict.MatchString(q.Annotation):
			return deployer.Whole{}
		default:
			only = deployer.Whole{Name: q.Name, Annotated: q.Annotation != ""}
		}
	}
	return only
}

// session is who answers for the variables of a living session; nil where there is none.
func (s *Submission) session() answers {
	if !s.living {
		return nil
	}
	return s.python
}

// ofFrontEnd are variables that ipykernel sets for what is shown in a notebook. Where the kernel was started, they are
// what they are elsewhere, and so a program gets them.
var ofFrontEnd = []string{"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "GIT_PAGER", "PAGER", "TERM"}

// environ is the environment of the session: of a living one with what its cells have set since its start. On this
// machine that is all of it, elsewhere as far as settings name it.
func (s *Submission) environ(ctx context.Context) ([]string, error) {
	names, python := s.Settings.FromSession(), s.session()
	local := s.Settings.Text("target") == run.Local
	if local {
		names = []string{talk.EveryVariable}
	}
	if len(names) == 0 || python == nil {
		return s.launcher.Environ, nil
	}
	have, err := python.ask(ctx, talk.Need{Environment: names})
	if err != nil {
		return nil, err
	}
	environ := slices.DeleteFunc(slices.Clone(s.launcher.Environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		if local { // what is no text cannot be sent, and stays what it was
			return utf8.ValidString(v) && !slices.Contains(ofFrontEnd, name)
		}
		return slices.Contains(names, name)
	})
	for name, value := range have.Environ {
		if !local || !slices.Contains(ofFrontEnd, name) {
			environ = append(environ, name+"="+value)
		}
	}
	return environ, nil
}

// ask requests of Python the versions of what the program imports and for the values that are shipped.
func (s *Submission) ask(ctx context.Context) error {
	if s.python == nil {
		return nil
	}
	var err error
	if s.packages, err = distributions(ctx, s.python, s.program.Imports); err != nil {
		return err
	}
	if s.Settings.MakesImage() {
		s.environment, err = environment(ctx, s.python, s.program.Imports, s.Settings, s.launcher.Environ)
		if err != nil {
			return err
		}
		if s.environment.File != "" {
			s.environment.Needs = needs(s.packages)
		}
	}
	if s.doc.Kind == session.Live && s.slice != nil {
		if s.expected, err = describeValues(ctx, s.python, s.slice, s.program.Map); err != nil {
			return err
		}
	}
	if len(s.program.With) == 0 || s.slice == nil { // a program folder has its values
		return nil
	}
	have, err := s.python.ask(ctx, talk.Need{With: s.program.With})
	if err != nil {
		return err
	}
	s.shipped = have.With
	for name, v := range s.shipped {
		data, err := os.ReadFile(v.File)
		if err != nil {
			return fmt.Errorf("ship %s: %w", name, err)
		}
		if err := s.program.Add(program.File{Path: program.WithPath(name), Mode: 0o644, Data: data}); err != nil {
			return fmt.Errorf("ship %s: %w", name, err)
		}
	}
	return nil
}

// draw requests the hyperparameters of Python.
func (s *Submission) draw(ctx context.Context, r deployer.DrawRequest) (deployer.Drawn, error) {
	if s.python == nil {
		return deployer.Drawn{}, fmt.Errorf("no Python to draw %s with", r.Name)
	}
	have, err := s.python.ask(ctx, talk.Need{Draw: &talk.Draw{
		Name: r.Name, Limit: r.Limit, Completions: r.Completions, Parallelism: r.Parallelism, Parameters: r.Parameters,
		Required: r.Required,
		Whole:    r.Whole.Name, Annotated: r.Whole.Annotated, Seed: r.Seed,
	}})
	if err != nil {
		return deployer.Drawn{}, err
	}
	if have.Draw == nil {
		return deployer.Drawn{}, fmt.Errorf("draw %s: the module answered something else", r.Name)
	}
	drawn := deployer.Drawn{Digest: have.Draw.Digest, Notes: have.Draw.Notes, Whole: have.Draw.Whole}
	for _, pairs := range have.Draw.Rows {
		row := make(run.Row, 0, len(pairs))
		for _, p := range pairs {
			var name string
			if err := json.Unmarshal(p[0], &name); err != nil {
				return deployer.Drawn{}, fmt.Errorf("draw %s: a parameter's name is not a text: %w", r.Name, err)
			}
			row = append(row, run.Param{Name: name, Value: p[1]})
		}
		drawn.Rows = append(drawn.Rows, row)
	}
	return drawn, nil
}

// Summary is the one line over the folded slice: cells, lines, packages.
func (s *Submission) Summary() string {
	text := "the program " + s.program.Entry
	if s.slice != nil {
		text = s.slice.Summary()
	}
	var packages []string
	for _, module := range slices.Sorted(maps.Keys(s.packages)) {
		if d := s.packages[module]; d.Name != "" && d.Name != "metaml" {
			packages = append(packages, d.Name+" "+d.Version)
		}
	}
	if len(packages) > 0 {
		text += " · " + strings.Join(packages, ", ")
	}
	return text
}

// body is the folded slice: each statement beside its cell and, where requested, why it is in.
func (s *Submission) body(explain bool) string {
	if s.slice == nil {
		return strings.TrimRight(s.program.Main(), "\n")
	}
	var b strings.Builder
	last := 0
	for _, st := range s.slice.Statements {
		label := strings.Repeat(" ", 10)
		if st.Cell != last {
			label = fmt.Sprintf("%-10s", s.cellLabel(st.Cell))
			last = st.Cell
		}
		for i, line := range strings.Split(strings.TrimRight(st.Text, "\n"), "\n") {
			if i > 0 {
				label = strings.Repeat(" ", 10)
			}
			b.WriteString(label + line + "\n")
		}
		if explain && len(st.Why) > 0 {
			b.WriteString(strings.Repeat(" ", 10) + "    # " + strings.Join(st.Why, "; ") + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

func (s *Submission) cellLabel(seq int) string {
	if s.doc.Kind == session.Script || seq == 0 {
		return ""
	}
	return fmt.Sprintf("cell %d", s.slice.Label(seq))
}

// Submit starts the run of a plan. What takes long is said, by one goroutine at a time.
func (s *Submission) Submit(ctx context.Context, plan *deployer.Plan, to Progress) (run.Submitted, error) {
	p := &progress{Progress: to}
	p.begin()
	defer p.end()
	return s.client.Submit(ctx, plan, p.note)
}

// Export writes what the plan of a source that is exported would start.
func (s *Submission) Export(ctx context.Context, plan *deployer.Plan) ([]byte, error) {
	return s.client.Export(ctx, plan)
}
