package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/prose"
)

// usageError is a wrong command line: exit code 2.
type usageError struct{ error }

func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

//nolint:lll // the text of --help, as it is printed
const usage = `usage: metaml-nbconvert NOTEBOOK... [--to script] [-o FILE] [--output-dir DIR] [--stdout]
       metaml-nbconvert NOTEBOOK --function NAME | --to train | --to serve

Makes plain Python of notebooks: by default NOTEBOOK.py, all code cells as a script that runs under python.
NOTEBOOK is a file (.ipynb, .py, .R and others with "# %%" cells, Databricks' .py), a folder (all notebooks below it), a pattern, or "-" for standard input.

what is made
  --to script           the notebook as a script (the default); "python" is the same
  --to notebook         the notebook in the format's version 4.5 (NOTEBOOK.nbconvert.ipynb, or --inplace)
  --to percent          text with "# %%" cells, as jupytext keeps notebooks; --to markdown likewise
  --to train            a program folder of one function and all that it needs, as metaml runs it
  --to serve            the function of a %%serve cell as a Flask application, which needs nothing of MetaML
  --function NAME       with --to script: one function, all that it needs, and a command line
  --slice NAME[,NAME]   only what these results need

what it is made of
  --from percent        a script with "# %%" cells, or markdown; without it the file's name decides

how the script is written
  --requirements        write requirements.txt and pylock.toml beside it, and PEP 723's metadata at its head (uv run SCRIPT)
  --python PYTHON       whose packages these are; without it that of the notebook's kernel, or of the active environment
  --percent             mark cells by "# %%", for VS Code, Spyder and PyCharm
  --parameters          make command-line options of the cell tagged "parameters", and of Colab's #@param forms
  --quiet-expressions   leave out to print the last expression of a cell
  --show                show figures in windows instead of saving them beside the script
  --keep-going          write a raise in place of what cannot run outside of a notebook; exit code 1 all the same

where it is written
  -o, --output FILE     of one notebook
  --output-dir DIR      of all
  --stdout              write the script to standard output
  --source-map FILE     write which cell and line each line of the script comes from, as JSON
  --check               write nothing: exit code 1 if a script is missing or another one, or does not convert
  --explain             with a function: say for each statement why it is in, and write nothing

what is said
  --format text|github  how messages are printed: github makes them annotations
  --strict              refuse notebooks that are not as the format's schemas say
  --json                print what was done as JSON
  --version             print the version

exit codes: 0; 1 a notebook cannot be converted, what was written lacks something, or --check found a difference;
2 a wrong command line; 130 interrupted
`

type options struct {
	to, from, function, slice, python, output, outputDir, sourceMap, format string

	requirements, inplace, strict, percent, parameters, quiet, show, keepGoing, stdout, check, explain bool

	asJSON, version bool

	inputs  []string
	several bool // they are several notebooks
}

// functional says that one function is cut out instead of all being converted.
func (o *options) functional() bool {
	return o.function != "" || o.explain || o.to == "train" || o.to == "serve"
}

// forms are what can be made.
var forms = []string{"script", "notebook", "percent", "markdown", "train", "serve"}

// nbconvertsForms are what Jupyter's command makes and this one does not.
var nbconvertsForms = []string{
	"asciidoc", "html", "latex", "pdf", "qtpdf", "qtpng", "rst", "slides", "webpdf",
}

// nbconverts are options of Jupyter's command that have no meaning here, with what to do instead.
var nbconverts = map[string]string{
	"template":        "scripts have one form; --percent, --quiet-expressions and tags change it",
	"template-file":   "scripts have one form; --percent, --quiet-expressions and tags change it",
	"execute":         "run the script, or execute the notebook by jupyter execute",
	"clear-output":    "outputs are not in a script; nbstripout clears those of a notebook",
	"no-input":        "a script is the input",
	"allow-errors":    `tag cells that may fail "raises-exception"`,
	"nbformat":        "notebooks of all versions are read",
	"post":            "run what is to happen afterwards yourself",
	"writer":          "scripts are written to files, or by --stdout",
	"generate-config": "everything is on the command line",
	"config":          "everything is on the command line",
}

// ignored are options of Jupyter's command that change nothing here; those with a value take one.
var ignored = map[string]bool{"y": false, "debug": false, "no-prompt": false, "log-level": true, "embed-images": false}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("metaml-nbconvert", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.to, "to", "script", "")
	fs.StringVar(&o.from, "from", "", "")
	fs.StringVar(&o.output, "o", "", "")
	fs.StringVar(&o.output, "output", "", "")
	fs.StringVar(&o.outputDir, "output-dir", "", "")
	fs.StringVar(&o.function, "function", "", "")
	fs.StringVar(&o.slice, "slice", "", "")
	fs.StringVar(&o.sourceMap, "source-map", "", "")
	fs.StringVar(&o.format, "format", "text", "")
	fs.BoolVar(&o.requirements, "requirements", false, "")
	fs.StringVar(&o.python, "python", "", "")
	fs.BoolVar(&o.inplace, "inplace", false, "")
	fs.BoolVar(&o.strict, "strict", false, "")
	fs.BoolVar(&o.percent, "percent", false, "")
	fs.BoolVar(&o.parameters, "parameters", false, "")
	fs.BoolVar(&o.quiet, "quiet-expressions", false, "")
	fs.BoolVar(&o.show, "show", false, "")
	fs.BoolVar(&o.keepGoing, "keep-going", false, "")
	fs.BoolVar(&o.stdout, "stdout", false, "")
	fs.BoolVar(&o.check, "check", false, "")
	fs.BoolVar(&o.explain, "explain", false, "")
	fs.BoolVar(&o.asJSON, "json", false, "")
	fs.BoolVar(&o.version, "version", false, "")
	for name, valued := range ignored {
		if valued {
			fs.String(name, "", "")
		} else {
			fs.Bool(name, false, "")
		}
	}
	for len(args) > 0 { // options may stand behind the notebook
		if name, _, _ := strings.Cut(strings.TrimLeft(args[0], "-"), "="); args[0] != name && nbconverts[name] != "" {
			return o, wrong("--%s is jupyter nbconvert's: %s", name, nbconverts[name])
		}
		if args[0] == "--" { // the rest are files
			o.inputs = append(o.inputs, args[1:]...)
			break
		}
		if args[0] == "-" || !strings.HasPrefix(args[0], "-") {
			o.inputs, args = append(o.inputs, args[0]), args[1:]
			continue
		}
		rest, err := one(fs, args)
		if err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return o, err
			}
			return o, usageError{err}
		}
		args = rest
	}
	if o.to == "python" {
		o.to = "script"
	}
	if o.version {
		return o, nil
	}
	return o, o.verify()
}

// one parses the option that comes first, and gives what stands behind it.
func one(fs *flag.FlagSet, args []string) ([]string, error) {
	given, _, valued := strings.Cut(args[0], "=")
	f := fs.Lookup(strings.TrimLeft(given, "-"))
	if f == nil && given != "--help" && given != "-h" && given != "-help" {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if near := prose.Nearest(strings.TrimLeft(given, "-"), names); near != "" {
			return nil, fmt.Errorf("there is no option %s; did you mean --%s?", given, near)
		}
		return nil, fmt.Errorf("there is no option %s (metaml-nbconvert --help)", given)
	}
	n := 1
	if f != nil && !valued {
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
			if n = 2; len(args) < n {
				return nil, fmt.Errorf("%s needs a value", given)
			}
		}
	}
	return args[n:], fs.Parse(args[:n])
}

// ofFunctions are the options by which one function is cut out.
const ofFunctions = "--function, --explain, --to train or --to serve"

// verify refuses what does not go together.
func (o *options) verify() error {
	switch {
	case slices.Contains(o.inputs, ""):
		return wrong("the name of a notebook is empty")
	case len(o.inputs) == 0:
		return wrong("which notebook? (metaml-nbconvert --help)")
	case slices.Contains(nbconvertsForms, o.to):
		return wrong("--to %s is jupyter nbconvert's; here it is %s or %s", o.to,
			strings.Join(forms[:len(forms)-1], ", "), forms[len(forms)-1])
	case !slices.Contains(forms, o.to):
		return wrong("--to is %s or %s, not %q", strings.Join(forms[:len(forms)-1], ", "), forms[len(forms)-1], o.to)
	case !slices.Contains([]string{"", "notebook", "percent", "markdown"}, o.from):
		return wrong("--from is notebook, percent or markdown, not %q", o.from)
	case o.format != "text" && o.format != "github":
		return wrong("--format is text or github, not %q", o.format)
	case o.stdout && (o.to == "train" || o.output != "" || o.outputDir != "" || o.check || o.asJSON && !o.explain):
		return wrong("--stdout goes with --to script or serve, without -o, --output-dir, --check and --json")
	case o.output != "" && o.outputDir != "":
		return wrong("-o names a file and --output-dir a folder: give one of them")
	case o.check && o.to == "train":
		return wrong("--check goes with --to script and --to serve")
	}
	if o.inplace && (o.to != "notebook" || o.output != "" || o.outputDir != "" || o.stdout) {
		return wrong("--inplace goes with --to notebook, without -o, --output-dir and --stdout")
	}
	if o.functional() && o.asJSON && !o.explain {
		return wrong("--json goes with --explain, or with the whole notebook")
	}
	for _, option := range o.ofScripts() {
		switch {
		case !option.given:
		case o.functional():
			return wrong("%s is for the whole notebook; it does not go with %s", option.name, ofFunctions)
		case o.to != "script" && !option.allForms:
			return wrong("%s goes with --to script", option.name)
		}
	}
	if o.python != "" && !o.requirements {
		return wrong("--python goes with --requirements")
	}
	return nil
}

// ofScript is an option about scripts of whole notebooks.
type ofScript struct {
	name     string
	given    bool
	allForms bool // other forms of the whole notebook have it too
	python   bool // it means nothing in another language
}

func (o *options) ofScripts() []ofScript {
	return []ofScript{
		{name: "--percent", given: o.percent},
		{name: "--parameters", given: o.parameters, python: true},
		{name: "--quiet-expressions", given: o.quiet},
		{name: "--show", given: o.show},
		{name: "--keep-going", given: o.keepGoing},
		{name: "--source-map", given: o.sourceMap != "", python: true},
		{name: "--slice", given: o.slice != "", python: true},
		{name: "--requirements", given: o.requirements, python: true},
		{name: "--strict", given: o.strict, allForms: true},
		{name: "--from", given: o.from != "", allForms: true},
		{name: "--format", given: o.format != "text", allForms: true},
	}
}
