// Command metaml-nbconvert makes plain Python of a notebook: a script of one function and all that it needs, a program
// folder, or a Flask application. Read [run] first. It may import the converter, deployer/settings for what stands on a
// cell's line, and deployer/view for what it says to people.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/usererror"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, view.Stream{To: os.Stderr})
	stop()
	os.Exit(code)
}

// usageError is a wrong command line: exit code 2.
type usageError struct{ error }

//nolint:lll // the text of --help, as it is printed
const usage = `usage: metaml-nbconvert NOTEBOOK [--to script|train|serve] [--function NAME] [-o FILE|DIR] [--stdout] [--explain]

Makes plain Python of a notebook (.ipynb), a script (.py) or a session document (.json); "-" reads a notebook from standard input.

  --to script     one file: the function, all that it needs, and a command line (the default)
  --to train      a program folder, as metaml runs it
  --to serve      one file: the function of a %%serve cell as a Flask application, which needs nothing of MetaML
  --function NAME the function; without it that of the last %%train cell (with --to serve %%serve cell), else of the last cell with one
  -o, --output    where to write; without it NOTEBOOK.py, NOTEBOOK_app.py, or the folder NOTEBOOK.program
  --stdout        write the script or application to standard output
  --explain       say for each statement why it is in, and write nothing

exit codes: 0; 1 the notebook cannot be converted, or what was written lacks what a command of the shell made;
2 a wrong command line
`

type options struct {
	to, output, function    string
	stdout, explain, asJSON bool
	input                   string
}

// run is the command, with its streams handed in.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, usage)
		return 0
	}
	if err == nil {
		err = convert(ctx, o, stdin, stdout, stderr)
	}
	if errors.Is(err, errIncomplete) {
		return 1 // the notes have said why
	}
	var wrong usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		_, _ = fmt.Fprintf(stderr, "metaml-nbconvert: %v\n", err)
		return 2
	}
	_, _ = fmt.Fprintf(stderr, "metaml-nbconvert: %v\n", err)
	return 1
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("metaml-nbconvert", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.to, "to", "script", "")
	fs.StringVar(&o.output, "o", "", "")
	fs.StringVar(&o.output, "output", "", "")
	fs.StringVar(&o.function, "function", "", "")
	fs.BoolVar(&o.stdout, "stdout", false, "")
	fs.BoolVar(&o.explain, "explain", false, "")
	fs.BoolVar(&o.asJSON, "json", false, "")
	var inputs []string
	for len(args) > 0 { // options may stand behind the notebook
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return o, err
			}
			return o, usageError{err}
		}
		args = fs.Args()
		if len(args) > 0 {
			inputs = append(inputs, args[0])
			args = args[1:]
		}
	}
	switch {
	case len(inputs) == 0:
		return o, usageError{errors.New("which notebook? (metaml-nbconvert --help)")}
	case len(inputs) > 1:
		return o, usageError{fmt.Errorf("one notebook at a time; %q is a second one", inputs[1])}
	case o.to == "python":
		o.to = "script"
	case o.to != "script" && o.to != "train" && o.to != "serve":
		return o, usageError{fmt.Errorf("--to is script, train or serve, not %q", o.to)}
	}
	if o.stdout && (o.to == "train" || o.output != "") {
		return o, usageError{errors.New("--stdout goes with --to script or serve, without -o")}
	}
	o.input = inputs[0]
	return o, nil
}

// errIncomplete says that what was written lacks something that it needs, which a note says.
var errIncomplete = errors.New("something that the program needs was left out")

func convert(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	doc, err := read(o.input, stdin)
	if err != nil {
		return err
	}
	s, err := cut(ctx, o, doc)
	if err != nil {
		if _, ok := errors.AsType[*usererror.Error](err); ok {
			return fmt.Errorf("%s: %w", o.input, err)
		}
		return err
	}
	incomplete := false
	for _, n := range s.Notes {
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", o.input, usererror.Sentences(n.Text, n.Hint))
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
	var text, suffix string
	switch o.to {
	case "train":
		p, err := program.Make(s, program.Train)
		if err != nil {
			return err
		}
		return p.Write(target(o, ".program"))
	case "serve":
		suffix = "_app.py"
		var open string
		if text, open, err = application(o, doc, s); err != nil {
			return fmt.Errorf("%s: %w", o.input, err)
		}
		if open != "" {
			_, _ = fmt.Fprintf(stderr, "%s: %s\n", o.input, open)
		}
	default:
		text, suffix = program.Script(s), ".py"
	}
	if o.stdout || o.input == "-" && o.output == "" || o.output == "-" {
		_, err := io.WriteString(stdout, text)
		return err
	}
	out := target(o, suffix)
	if same(out, o.input) {
		return fmt.Errorf("%s: the script would replace its own source; name another file with -o", o.input)
	}
	for _, m := range s.Modules {
		if m.Source != nil {
			continue // the script writes it
		}
		remark := ""
		if o.to == "script" {
			remark = " (--to train brings it along)"
		}
		_, _ = fmt.Fprintf(stderr, "%s: the script imports %s, which must stand beside it%s\n", o.input,
			filepath.Base(m.File), remark)
	}
	return atomicfile.Write(out, []byte(text), 0o644)
}

// cut slices the document as the options say.
func cut(ctx context.Context, o options, doc *session.Document) (*slicer.Slice, error) {
	if o.to == "serve" {
		return cutServer(ctx, o, doc)
	}
	chosen := slicer.Options{Function: o.function}
	if has(doc, "train") {
		chosen.Magic = "train"
	}
	return slicer.Of(ctx, doc, chosen)
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func target(o options, suffix string) string {
	if o.output != "" {
		return o.output
	}
	if o.input == "-" {
		return "notebook" + suffix
	}
	name := strings.TrimSuffix(filepath.Base(o.input), filepath.Ext(o.input)) + suffix
	if o.to == "serve" {
		name = importable(strings.TrimSuffix(name, ".py")) + ".py"
	}
	return filepath.Join(filepath.Dir(o.input), name)
}

func read(input string, stdin io.Reader) (*session.Document, error) {
	r := stdin
	if input != "-" {
		f, err := os.Open(input)
		if err != nil {
			return nil, fmt.Errorf("opening the notebook: %w", err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, session.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", input, err)
	}
	if len(data) > session.MaxFile {
		return nil, fmt.Errorf("%s is larger than 1 GiB", input)
	}
	name := input
	if input == "-" {
		name = ""
	}
	switch filepath.Ext(input) {
	case ".py":
		return session.FromSource(data, name)
	case ".json":
		return session.Read(strings.NewReader(string(data)))
	}
	return session.FromNotebook(data, name)
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
