package ipython

import (
	_ "embed" // the functions are files
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// The functions by which a program runs commands as a notebook does. Package slice puts [Source] before the first
// statement that calls one.
const (
	// Lines gives a command's output, errors included, as a list of lines: x = !command.
	Lines = "_metaml_lines"
	// Run lets a command write to the program's own output: !command.
	Run = "_metaml_run"
	// Script gives the output and the errors of a script, as two strings: %%bash --out x --err y.
	Script = "_metaml_script"
	// Text expands the arguments of a magic: %env A=$x.
	Text = "_metaml_text"
	// RunScript gives a script to a program, which writes to the output of the program: %%bash.
	RunScript = "_metaml_run_script"
	// RunFile runs a script and takes over its names: %run file.
	RunFile = "_metaml_run_file"
	// Timeit measures a statement: t = %timeit -o statement.
	Timeit = "_metaml_timeit"
)

// The list that IPython gives knows more than a list: files.n, files.s, files.grep("a"). A command with a word that
// Python cannot evaluate goes to the shell as it was typed: echo $HOME.
var (
	//go:embed shell/lines.py
	linesFile string
	//go:embed shell/run.py
	runFile string
	//go:embed shell/script.py
	scriptFile string
	//go:embed shell/text.py
	textFile string
	//go:embed shell/run_script.py
	runScriptFile string
	//go:embed shell/run_file.py
	runFileFile string
	//go:embed shell/timeit.py
	timeitFile string
)

var sources = map[string]string{
	Lines:  strings.TrimSuffix(linesFile, "\n"),
	Run:    strings.TrimSuffix(runFile, "\n"),
	Script: strings.TrimSuffix(scriptFile, "\n"),
	Text:   strings.TrimSuffix(textFile, "\n"),

	RunScript: strings.TrimSuffix(runScriptFile, "\n"),
	RunFile:   strings.TrimSuffix(runFileFile, "\n"),
	Timeit:    strings.TrimSuffix(timeitFile, "\n"),
}

// Source is the Python code of a function for commands, "" for other names. It defines nothing but that name, imports
// nothing outside of functions, and uses the shell that IPython uses.
func Source(function string) string { return sources[function] }

// installRE recognises commands that install packages: they are for the environment and not for the program.
var installRE = lazyregexp.New(`^(sudo\s+)?((\S*python[\d.]*|\{\s*sys\.executable\s*\}|` +
	`\$sys\.executable)\s+-m\s+)?(pip[\d.]*|uv|conda|mamba|micromamba|apt|apt-get|` +
	`brew)\s+(-\S+\s+)*(pip\s+)?(install|uninstall|remove|update|upgrade|sync|add)\b`)

// Installs says that a command installs packages.
func Installs(command string) bool { return installRE.MatchString(command) }

// command writes the call of one of our functions with a command. first is what stands before the expansion, such as ",
// 'the script'".
func command(function, cmd, first string) string {
	format, args, ok := expanded(cmd)
	switch {
	case !ok:
		return function + "(" + quote(cmd) + first + ")"
	case len(args) == 0:
		return function + "(" + quote(format) + first + ")"
	}
	expand := "lambda: " + quote(format) + ".format(" + strings.Join(args, ", ") + ")"
	if first != "" {
		expand = "expand=" + expand
	}
	return function + "(" + quote(cmd) + first + ", " + expand + ")"
}

// expandedText writes the value of a magic's argument.
func expandedText(arg string) string {
	switch format, args, ok := expanded(arg); {
	case !ok:
		return quote(arg)
	case len(args) == 0:
		return quote(format)
	}
	return command(Text, arg, "")
}

// scripts are the cell magics that run their body by a program.
var scripts = map[string]bool{
	"bash": true, "sh": true, "script": true, "perl": true, "ruby": true, "python": true, "python3": true, "pypy": true,
}

// written translates %%writefile: it writes the body, for which \x00 stands, to a file.
func written(name, args string) string {
	if name != "writefile" && name != "file" {
		return ""
	}
	appends := false
	words := strings.Fields(args)
	for len(words) > 1 && (words[0] == "-a" || words[0] == "--append") {
		appends, words = true, words[1:]
	}
	file := strings.Join(words, " ")
	if len(file) > 1 && (file[0] == '"' || file[0] == '\'') && file[len(file)-1] == file[0] {
		file = file[1 : len(file)-1]
	}
	if file == "" || strings.HasPrefix(file, "-") {
		return ""
	}
	path := "__import__('pathlib').Path(" + expandedText(file) + ")"
	if strings.HasPrefix(file, "~") {
		path += ".expanduser()"
	}
	if appends {
		return path + ".open('a', encoding='utf-8').write(\x00)"
	}
	return path + ".write_text(\x00, encoding='utf-8')"
}

// script translates a cell magic that runs a script and stores its output: %%bash --out x. It gives "" where nothing is
// stored, or where only the kernel can do it.
func script(name, args string) string {
	if !scripts[name] {
		return ""
	}
	words := []string{name}
	if name == "script" {
		words = nil
	}
	check := ""
	targets := map[string]string{}
	fields := strings.Fields(args)
	for i := 0; i < len(fields); i++ {
		option, value, given := strings.Cut(fields[i], "=")
		switch option {
		case "--out", "--err":
			if !given && i+1 < len(fields) {
				i++
				value = fields[i]
			}
			if !isDotted(value) || strings.Contains(value, ".") {
				return ""
			}
			targets[option] = value
		case "--no-raise-error":
			check = ", False"
		case "--bg", "--proc":
			return ""
		default:
			words = append(words, fields[i])
		}
	}
	out, err := targets["--out"], targets["--err"]
	run := func(body string) string { return command(Script, strings.Join(words, " "), ", "+body+check) }
	const body = "\x00"
	switch {
	case len(words) == 0:
		return ""
	case out != "" && err != "":
		return out + ", " + err + " = " + run(body)
	case out != "":
		return out + " = " + run(body) + "[0]"
	case err != "":
		return err + " = " + run(body) + "[1]"
	}
	return ""
}

// expanded does what IPython does to a command before the shell sees it: {expression} and $name stand for values, $$
// for a dollar, {{ and }} for braces. It gives a text for str.format with its arguments as Python code, or the plain
// text if there are none. It is false where IPython gives up and hands the command to the shell as it was typed,
// because something in braces is no expression.
func expanded(cmd string) (format string, args []string, ok bool) {
	var b strings.Builder
	literal := func(s string) { b.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(s)) }
	field := func(expr, conversion string) bool {
		expr = strings.TrimSpace(uncommented(expr))
		if !isExpression(expr) {
			return false
		}
		b.WriteString("{" + conversion + "}")
		if !isDotted(expr) {
			expr = "(" + expr + ")"
		}
		args = append(args, expr)
		return true
	}
	for rest := cmd; rest != ""; {
		text, f, more, fine := nextField(rest)
		if !fine {
			return "", nil, false
		}
		rest = more
		if !dollars(text, literal, func(name string) bool { return field(name, "") }) {
			return "", nil, false
		}
		if f != nil && !field(f.expr, f.conversion) {
			return "", nil, false
		}
	}
	if len(args) == 0 {
		return strings.NewReplacer("{{", "{", "}}", "}").Replace(b.String()), nil, true
	}
	return b.String(), args, true
}

// replacement is what stands in braces.
type replacement struct{ expr, conversion string }

// nextField parts a text at its first brace, as string.Formatter.parse does. A doubled brace ends the text with one of
// them.
func nextField(s string) (text string, f *replacement, rest string, ok bool) {
	i := strings.IndexAny(s, "{}")
	if i < 0 {
		return s, nil, "", true
	}
	if i+1 < len(s) && s[i+1] == s[i] {
		return s[:i+1], nil, s[i+2:], true
	}
	if s[i] == '}' {
		return "", nil, "", false
	}
	text, s = s[:i], s[i+1:]
	f = &replacement{}
	end := 0
	for bracket := false; ; end++ {
		if end >= len(s) || s[end] == '{' && !bracket {
			return "", nil, "", false
		}
		switch {
		case bracket:
			bracket = s[end] != ']'
			continue
		case s[end] == '[':
			bracket = true
			continue
		case s[end] != '}' && s[end] != ':' && s[end] != '!':
			continue
		}
		break
	}
	f.expr = s[:end]
	if s[end] == '!' {
		if end+2 >= len(s) || !strings.ContainsRune("sra", rune(s[end+1])) || s[end+2] != '}' && s[end+2] != ':' {
			return "", nil, "", false
		}
		f.conversion = s[end : end+2]
		end += 2
	}
	if s[end] == '}' {
		return text, f, s[end+1:], true
	}
	// What would be a format is the end of a slice to IPython.
	start := end + 1
	for depth := 1; ; {
		end++
		if end >= len(s) {
			return "", nil, "", false
		}
		switch s[end] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if end > start {
		f.expr += ":" + s[start:end]
	}
	return text, f, s[end+1:], true
}

// dollars finds $name in a text. A name is left alone between single quotes, as in awk '{print $x}'; $$name is $name
// for the shell.
func dollars(s string, literal func(string), field func(string) bool) bool {
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '$' {
			continue
		}
		start := i + 1
		if start < len(s) && s[start] == '$' {
			start++
		}
		end := start
		for end < len(s) {
			r, n := utf8.DecodeRuneInString(s[end:])
			if r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) {
				break
			}
			end += n
		}
		if end == start || strings.Count(s[end:], "'")%2 != 0 {
			continue
		}
		if start == i+2 {
			literal(s[from:i] + s[i+1:end])
		} else {
			literal(s[from:i])
			if !field(s[start:end]) {
				return false
			}
		}
		from, i = end, end-1
	}
	literal(s[from:])
	return true
}

var dottedRE = lazyregexp.New(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)

func isDotted(s string) bool { return dottedRE.MatchString(s) }

// uncommented drops a comment at the end of a line of code.
func uncommented(s string) string {
	for sc := token.NewScanner(s, 0); ; {
		tok, ok := sc.Next()
		switch {
		case !ok:
			return s
		case tok.Kind == token.Comment:
			return s[:tok.Start]
		}
	}
}

// isExpression says that a text is one expression of Python.
func isExpression(s string) bool {
	if s == "" || s[0] == '*' || !utf8.ValidString(s) {
		return false
	}
	tree, err := syntax.Parse("(" + s + ")")
	if err != nil || tree.ErrorAt > 0 || len(tree.Root.Children) != 1 || len(tree.Root.Children[0].Children) != 1 {
		return false
	}
	whole := tree.Root.Children[0].Children[0]
	ok := whole.End == len(s)+2 && (whole.Kind == "parenthesized_expression" || whole.Kind == "tuple")
	whole.Walk(func(n *syntax.Node) bool {
		switch n.Kind {
		case "identifier":
			ok = !token.IsKeyword(n.Text())
		case "yield", "await", "named_expression", "parenthesized_list_splat":
			ok = false
		}
		return ok
	})
	return ok
}
