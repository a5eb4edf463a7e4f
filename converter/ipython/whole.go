package ipython

import (
	"path"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/lazyregexp"
)

// This file has what becomes of magics and commands in a script of the whole notebook ([Options].Whole): nothing may be
// lost without a word, so what leaves no code stays as a comment, and what cannot run outside of a notebook is refused.

// Fate says what becomes of a magic or a command.
type Fate string

// The fates.
const (
	Translated  Fate = "translated"  // Python code with the same meaning
	Dropped     Fate = "dropped"     // a comment: it only looks, or is about the notebook
	Requirement Fate = "requirement" // a comment, and one of the script's requirements
	Refused     Fate = "refused"     // a statement that raises
)

// Rule is the fate of what is written as Names.
type Rule struct {
	Names   []string // with their signs: "%cd", "%%bash"
	Fate    Fate
	Becomes string // what stands in the script; of one that is refused, what to do instead
}

// rules are the fates of magics by their names, as docs/guides/nbconvert.md lists them. A name that is not in it is
// refused.
var rules = []Rule{
	{[]string{"%time", "%prun", "%lprun", "%mprun"}, Translated, "the statement behind it, without the measurement"},
	{
		[]string{
			"%%time", "%%prun", "%%debug", "%%snakeviz", "%%scalene", "%%memray_flamegraph", "%%notify",
			"%%wandb",
		},
		Translated, "the cell, without the measurement",
	},
	{[]string{"%%capture"}, Translated, "the cell below a `with`; what it printed is in `.stdout` and `.stderr`"},
	{[]string{"%env", "%set_env"}, Translated, "`os.environ[…] = …`"},
	{[]string{"%cd"}, Translated, "`os.chdir(…)`"},
	{[]string{"%pylab"}, Translated, "the imports that it makes"},
	{[]string{"%run"}, Translated, "a script's names by `runpy`; a notebook's cells in its place"},
	{
		[]string{"%%writefile", "%%file"},
		Translated,
		"`Path(…).write_text(…)`, so that an import below it finds the module",
	},
	{
		[]string{"%%bash", "%%sh", "%%script", "%%perl", "%%ruby", "%%python", "%%python2", "%%python3", "%%pypy"},
		Translated, "the program, with the cell as its input",
	},
	{
		[]string{"%sx", "%system", "%%sx", "%%system", "%%!"},
		Translated,
		"the command, and its output as a list of lines",
	},
	{[]string{"%mkdir", "%rmdir", "%rm", "%cp", "%mv", "%ln"}, Translated, "the command"},
	{[]string{"%pip", "%conda", "%mamba", "%micromamba", "%uv"}, Requirement, "what it installs is a requirement"},
	{
		[]string{
			"%matplotlib", "%config", "%precision", "%colors", "%xmode", "%gui", "%doctest_mode", "%pprint",
			"%page",
		},
		Dropped, "",
	},
	{[]string{
		"%load_ext", "%reload_ext", "%unload_ext", "%autoreload", "%aimport", "%autoawait", "%automagic", "%autocall",
		"%code_wrap", "%subshell", "%alias", "%unalias", "%rehashx", "%killbgscripts",
	}, Dropped, ""},
	{[]string{"%timeit", "%%timeit", "%memit", "%%memit", "%watermark", "%tensorboard", "%metaml"}, Dropped, ""},
	{[]string{
		"%who", "%whos", "%who_ls", "%pwd", "%ls", "%ll", "%la", "%lf", "%lk", "%lx", "%cat", "%less", "%more", "%man",
		"%history", "%hist", "%dhist", "%dirs", "%lsmagic", "%magic", "%quickref", "%pinfo", "%pinfo2", "%pdoc",
		"%pdef",
		"%psource", "%pfile", "%psearch", "%tb", "%debug", "%pdb", "%connect_info", "%qtconsole", "%clear", "%cls",
	}, Dropped, ""},
	{[]string{
		"%load", "%loadpy", "%save", "%store", "%notebook", "%logstart", "%logstop", "%logon", "%logoff", "%logstate",
		"%edit", "%pastebin", "%bookmark",
	}, Dropped, ""},
	{[]string{"%reset", "%reset_selective", "%xdel"}, Dropped, ""},
	{
		[]string{
			"%%html", "%%HTML", "%%javascript", "%%js", "%%markdown", "%%latex", "%%svg", "%%SVG",
			"%%css", "%%mermaid",
		},
		Dropped, "",
	},
	{[]string{"%store -r"}, Refused, "Keep the value in a file of its own, such as one of pickle."},
	{[]string{"%pushd", "%popd"}, Refused, "Call os.chdir."},
	{[]string{"%macro", "%recall", "%rep", "%rerun", "%sc"}, Refused, "Write the code that it stands for."},
	{
		[]string{"%sql", "%%sql"},
		Refused,
		"Call pandas.read_sql(query, connection), or the execute method of a connection of SQLAlchemy.",
	},
	{
		[]string{"%bigquery", "%%bigquery"},
		Refused,
		"Call google.cloud.bigquery.Client().query(query).to_dataframe().",
	},
	{[]string{"%R", "%%R", "%Rpush", "%Rpull", "%Rget"}, Refused, "Call rpy2.robjects.r(code)."},
	{[]string{"%julia", "%%julia"}, Refused, "Call juliacall.Main.seval(code)."},
	{
		[]string{"%%cython", "%cython"},
		Refused,
		"Put the cell into a .pyx file, and call pyximport.install() before it is imported.",
	},
	{[]string{"%fortran", "%%fortran"}, Refused, "Compile the cell into a module by numpy's f2py."},
	{[]string{"%%spark", "%spark", "%%configure"}, Refused, "Make the session by pyspark.sql.SparkSession.builder."},
	{[]string{"%%ipytest", "%ipytest"}, Refused, "Put the cell into a file of tests, and run pytest."},
	{[]string{"%%manim", "%manim"}, Refused, "Call the render method of the scene."},
	{[]string{"%%px", "%px", "%%autopx"}, Refused, "Call the apply method of a view of ipyparallel."},
	{[]string{"%%ai", "%ai"}, Refused, "Call the client of the model's provider."},
	{[]string{"%md", "%md-sandbox", "%python"}, Dropped, ""},
	{[]string{"%sh"}, Translated, "the program, with the cell as its input"},
	{[]string{"%scala", "%r"}, Refused, "Write the cell in Python."},
	{[]string{"%fs", "%%fs"}, Refused, "Call dbutils.fs, or open the files by their paths."},
}

// Rules lists the fates of magics by their names; a name that is not in it is refused.
func Rules() []Rule { return slices.Clone(rules) }

var fates = func() map[string]*Rule {
	all := map[string]*Rule{}
	for i := range rules {
		for _, name := range rules[i].Names {
			all[name] = &rules[i]
		}
	}
	return all
}()

// unprintable are characters that end a line of Python, or that none may have.
var unprintable = strings.NewReplacer("\r\n", "\n", "\r", " ", "\x00", "\\x00")

// Comment writes text as comments.
func Comment(text string) string {
	text = unprintable.Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight("# "+l, " \t\r")
	}
	return strings.Join(lines, "\n")
}

// left is what stands in place of something that leaves no code.
func left(indent, text string) string {
	if indent == "" {
		return Comment(text)
	}
	return "pass  " + Comment(text)
}

// only is why a magic is refused.
const only = " runs in a notebook only"

// refuse gives the statement that raises, and notes it.
func (t *transformer) refuse(m Magic, said, instead, text string) string {
	if instead == "" {
		instead = "Write it in Python."
	}
	m.Fate, m.Said, m.Instead, m.Binds = Refused, said, instead, true
	t.r.Magics = append(t.r.Magics, m)
	return "raise RuntimeError(" + quote(said+": "+strings.TrimSuffix(instead, ".")) + ")  " + Comment(text)
}

// wholeEscape translates a line that begins with an escape character.
func (t *transformer) wholeEscape(text string, line int, indent string) string {
	m := Magic{Kind: Line, Line: line, Indented: indent != ""}
	as := func(f Fate, code string) string {
		m.Fate = f
		t.r.Magics = append(t.r.Magics, m)
		if code == "" {
			return left(indent, text)
		}
		return code
	}
	if of, ok := asked(text); ok {
		m.Kind, m.Args = Help, of
		return as(Dropped, "")
	}
	switch text[0] {
	case '!':
		m.Kind, m.Args = Shell, strings.TrimSpace(strings.TrimLeft(text, "!"))
		return t.wholeCommand(m, m.Args, text, indent)
	case ',', ';', '/':
		t.o.Whole = false // as it is
		defer func() { t.o.Whole = true }()
		return t.escaped(text, line, indent)
	}
	m.Name, m.Args = split(text[1:])
	rule := fates["%"+m.Name]
	if m.Name == "store" && strings.HasPrefix(m.Args, "-r") {
		rule = fates["%store -r"]
	}
	switch {
	case m.Name == "":
		return as(Dropped, "")
	case m.Name[0] == '%':
		return t.refuse(m, "%"+m.Name+" does not stand at the head of its cell", "Move it there.", text)
	case rule == nil:
		return t.refuse(m, "%"+m.Name+only, "", text)
	case rule.Fate == Refused:
		return t.refuse(m, "%"+m.Name+only, rule.Becomes, text)
	case rule.Fate == Requirement:
		if !Installs(m.Name + " " + m.Args) {
			return as(Dropped, "") // it lists, or freezes
		}
		return as(Requirement, "")
	case rule.Fate == Dropped:
		return as(Dropped, "")
	}
	switch m.Name {
	case "run":
		return t.wholeRun(m, text)
	case "sx", "system":
		if m.Args == "" {
			return as(Dropped, "")
		}
		return as(Translated, command(Lines, m.Args, ""))
	case "mkdir", "rmdir", "rm", "cp", "mv", "ln":
		return t.wholeCommand(m, m.Name+" "+m.Args, text, indent)
	case "lprun", "mprun":
		if code := profiled(m.Args); code != "" {
			return as(Translated, code)
		}
		return as(Dropped, "")
	}
	t.o.Whole = false
	defer func() { t.o.Whole = true }()
	n := len(t.r.Magics)
	code := t.escaped(text, line, indent)
	t.r.Magics = t.r.Magics[:n]
	if code == "" || code == "pass" {
		return as(Dropped, "")
	}
	return as(Translated, code)
}

// wholeCommand translates a command of the shell.
func (t *transformer) wholeCommand(m Magic, cmd, text, indent string) string {
	m.Fate = Translated
	code := ""
	switch made := folders(cmd); {
	case cmd == "":
		m.Fate, code = Dropped, left(indent, text)
	case Installs(cmd):
		m.Fate, code = Requirement, left(indent, text)
	case made != "":
		code = made
	case strings.HasPrefix(text, "!!"):
		code = command(Lines, cmd, "")
	default:
		code = command(Run, cmd, "")
	}
	t.r.Magics = append(t.r.Magics, m)
	return code
}

var runRE = lazyregexp.New(`^("[^"]*"|'[^']*'|\S+)(?:\s+(.*))?$`)

// wholeRun translates %run. That of a notebook, which stands alone on its line, is left to the caller: [Magic].File.
func (t *transformer) wholeRun(m Magic, text string) string {
	module, inside, named, args := false, false, false, m.Args
	for strings.HasPrefix(args, "-") {
		option, rest, _ := strings.Cut(args, " ")
		args = strings.TrimSpace(rest)
		switch option {
		case "-m":
			module = true
		case "-i":
			inside = true
		case "-n":
			named = true
		case "-t", "-p", "-e", "-G":
		case "-N":
			_, args, _ = strings.Cut(args, " ")
		default:
			return t.refuse(m, "%run "+option+only, "Call runpy.run_path.", text)
		}
	}
	parts := runRE.FindStringSubmatch(args)
	if parts == nil {
		return t.refuse(m, "%run without a file does nothing", "Name the file.", text)
	}
	file := strings.Trim(parts[1], `"'`)
	if !module && !strings.HasSuffix(file, ".py") && !strings.HasSuffix(file, ".ipynb") &&
		!strings.ContainsAny(file, "${") {
		file += ".py" // as IPython does
	}
	m.Fate, m.File = Translated, file
	if strings.HasSuffix(file, ".ipynb") {
		if m.Indented {
			return t.refuse(m, "%run of a notebook inside of a block has no place in a script",
				"Put it on a line that is not indented.", text)
		}
		t.r.Magics = append(t.r.Magics, m)
		return Comment(text)
	}
	t.r.Magics = append(t.r.Magics, m)
	code := RunFile + "(" + expandedText(file)
	if parts[2] != "" {
		code += ", " + expandedText(parts[2])
	}
	if module {
		code += ", module=True"
	}
	if inside {
		code += ", inside=True"
	}
	if named {
		name := path.Base(file)
		code += ", name=" + quote(strings.TrimSuffix(name, path.Ext(name)))
	}
	return code + ")"
}

// profiled is the statement that %lprun and %mprun run.
func profiled(args string) string {
	for strings.HasPrefix(args, "-") {
		option, rest, _ := strings.Cut(args, " ")
		rest = strings.TrimSpace(rest)
		if slices.Contains([]string{"-f", "-m", "-D", "-T", "-u"}, option) {
			_, rest, _ = strings.Cut(rest, " ")
			rest = strings.TrimSpace(rest)
		}
		args = rest
	}
	return args
}

// wholeValue translates what a magic or command gives: x = %magic, x = !command. It gives the expression, "" where it
// is refused.
func (t *transformer) wholeValue(m Magic, text string) (code string, raises bool) {
	m.Fate = Translated
	switch m.Name {
	case "timeit":
		if code := timeit(m.Args); code != "" {
			t.r.Magics = append(t.r.Magics, m)
			return code, false
		}
	case "lprun", "mprun":
	default:
		if code, ok := assignedValue(m); ok {
			if code == "[]" {
				m.Fate = Requirement
			}
			t.r.Magics = append(t.r.Magics, m)
			return code, false
		}
	}
	instead := ""
	if rule := fates["%"+m.Name]; rule != nil && rule.Fate == Refused {
		instead = rule.Becomes
	}
	return t.refuse(m, "%"+m.Name+only, instead, text), true
}

// timeit translates %timeit -o, whose result is used; "" where there is none.
func timeit(args string) string {
	gives, number, repeat := false, "", ""
	for strings.HasPrefix(args, "-") {
		option, rest, _ := strings.Cut(args, " ")
		rest = strings.TrimSpace(rest)
		value := option[min(2, len(option)):]
		flag := option[:min(2, len(option))]
		if (flag == "-n" || flag == "-r" || flag == "-p") && value == "" {
			value, rest, _ = strings.Cut(rest, " ")
		}
		switch flag {
		case "-o":
			gives = true
		case "-n":
			number = ", number=" + value
		case "-r":
			repeat = ", repeat=" + value
		case "-p", "-q", "-c", "-t", "-v":
		default:
			return ""
		}
		args = strings.TrimSpace(rest)
	}
	if !gives || args == "" {
		return ""
	}
	return Timeit + "(" + quote(args) + number + repeat + ")"
}

// databricks translates a cell of Databricks that is in another language, which the magic on its first line i says. It
// is false where it is none.
func (t *transformer) databricks(i int) bool {
	text := strings.TrimRight(t.lines[i], "\r\n")
	name, args := split(strings.TrimLeft(text, "%"))
	m := Magic{Kind: Cell, Name: name, Args: args, Line: i + 1}
	code := Comment(text)
	switch {
	case !strings.HasPrefix(text, "%"+name):
		return false
	case name == "sh":
		m.Fate = Translated
		t.r.Magics = append(t.r.Magics, m)
		if args != "" && i+1 < len(t.lines) { // what stands beside it is the first line
			t.lines[i+1] = args + "\n" + t.lines[i+1]
		} else if args != "" {
			t.lines = append(t.lines, args)
		}
		t.script(i, command(RunScript, "sh", ", \x00"))
		return true
	case name == "md" || name == "md-sandbox":
		m.Fate = Dropped
		t.r.Magics = append(t.r.Magics, m)
	case name == "scala" || name == "r" || name == "sql" && args == "":
		code = t.refuse(m, "%"+name+only, fates["%"+name].Becomes, text)
	default:
		return false
	}
	t.set(i, code)
	t.comments(i + 1)
	return true
}

// comments makes all lines from one on comments: they are no Python.
func (t *transformer) comments(from int) {
	for j := from; j < len(t.lines); j++ {
		t.set(j, Comment(strings.TrimRight(t.lines[j], "\r\n")))
	}
	if last := len(t.lines) - 1; last >= from && t.lines[last] == "#" {
		t.lines[last] = ""
	}
	t.done = true
}

// wholeCell translates a cell magic on line i. It is false where the body goes on as Python.
func (t *transformer) wholeCell(i int, m Magic) (done bool) {
	text := strings.TrimRight(t.lines[i], "\r\n")
	rule := fates["%%"+m.Name]
	if m.Name == "" {
		rule = nil
		if strings.HasPrefix(text, "%%!") {
			m.Name, rule = "!", fates["%%!"]
		}
	}
	over := func(f Fate, code string) { // the body is no Python: it stays as comments
		m.Fate = f
		t.r.Magics = append(t.r.Magics, m)
		t.set(i, code)
		t.comments(i + 1)
	}
	shell := func(code string) bool {
		m.Fate = Translated
		t.r.Magics = append(t.r.Magics, m)
		t.script(i, code)
		return true
	}
	refused := func(said, instead string) bool {
		n := len(t.r.Magics)
		code := t.refuse(m, said, instead, text)
		m = t.r.Magics[n]
		t.r.Magics = t.r.Magics[:n]
		over(Refused, code)
		return true
	}
	switch {
	case m.Name == "train" || m.Name == "serve":
		m.Fate = Translated
		if t.r.Ours == "" {
			t.r.Ours = m.Name
		}
	case rule == nil:
		return refused("%%"+m.Name+only, "")
	case rule.Fate == Refused:
		return refused("%%"+m.Name+only, rule.Becomes)
	case rule.Fate == Dropped:
		over(Dropped, Comment(text))
		return true
	case m.Name == "writefile" || m.Name == "file":
		if code := written(m.Name, m.Args); code != "" {
			return shell(code)
		}
		return refused("%%"+m.Name+" without a file does nothing", "Name the file.")
	case m.Name == "sx" || m.Name == "system" || m.Name == "!":
		return shell(Lines + "(\x00)")
	case scripts[m.Name] || m.Name == "python2":
		if fields := strings.Fields(m.Args); m.Name == "script" && len(fields) > 0 && fields[0] == "false" {
			over(Dropped, Comment(text)) // by this people switch a cell off
			return true
		}
		if code := script(m.Name, m.Args); code != "" {
			return shell(code)
		}
		if code := shown(m.Name, m.Args); code != "" {
			return shell(code)
		}
		return refused("%%"+m.Name+" "+m.Args+only, "Call subprocess.Popen.")
	case m.Name == "capture":
		m.Fate = Translated
		m.Target = ""
		for f := range strings.FieldsSeq(m.Args) {
			if !strings.HasPrefix(f, "-") {
				m.Target = f
			}
		}
	default:
		m.Fate = Translated
	}
	t.r.Magics = append(t.r.Magics, m)
	t.set(i, Comment(text))
	return false
}

// shown translates a cell magic whose program writes to the output of the script: %%bash.
func shown(name, args string) string {
	words, check := []string{name}, ""
	if name == "script" {
		words = nil
	}
	for field := range strings.FieldsSeq(args) {
		switch field {
		case "--no-raise-error":
			check = ", check=False"
		case "--bg", "--proc", "--out", "--err":
			return ""
		default:
			words = append(words, field)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return command(RunScript, strings.Join(words, " "), ", \x00"+check)
}
