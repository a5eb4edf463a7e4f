// Package ipython turns the text of a notebook cell, which is IPython's dialect, into plain Python with the same number
// of lines, so that a line of the result is the line of the cell. IPython's own rules decide what is a magic (its input
// transformers are the reference and the oracle of the tests): the first line may be a cell magic, a logical line may
// be an escaped command (%, !, ?, the autocalls), an assignment of one, or end in question marks. What has no meaning
// outside a notebook leaves a blank line or, inside a block, a pass; what has one keeps it, commands of the shell among
// them ([Source]); what only the kernel can do stays as a call of get_ipython(), which package slice refuses where it
// is needed. Read [Transform] first.
//
// It may import converter/token and converter/syntax.
package ipython

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// Kind is the kind of a magic.
type Kind string

// The kinds of magic.
const (
	Line     Kind = "line"     // %name args
	Cell     Kind = "cell"     // %%name args
	Shell    Kind = "shell"    // !command, !!command
	Help     Kind = "help"     // name?, ?name
	Autocall Kind = "autocall" // ,f a b
)

// Magic is something in a cell that is IPython's and not Python's.
type Magic struct {
	Kind   Kind
	Name   string // of a line or cell magic
	Args   string // the rest; of a shell escape, the command
	Target string // what it is assigned to; of %%capture, the name of the output
	Line   int    // from 1
	// Binds says that it may define names that the code of the result does not show.
	Binds bool
	// Kernel says that only the kernel can do it: the code of the result calls get_ipython().
	Kernel bool

	// The following are said in a script of the whole notebook.

	Fate     Fate
	Said     string // of a refused one: what is wrong
	Instead  string // and what to do instead
	File     string // of %run: the file; of a notebook, whose cells are to stand behind the line
	Indented bool   // it stands in a block
}

// Result is a cell as plain Python.
type Result struct {
	Code   string  // as many lines as the cell has
	Magics []Magic // in the order of their lines
	// Opaque is the cell magic whose body is not run as Python in the session (%%bash, %%timeit); Code is blank then.
	Opaque string
	// Ours is the cell magic of ours on the first line: "train" or "serve".
	Ours string
	// Automagic is the name of the magic that a cell of one line begins with, without its sign.
	Automagic string
}

// Options say what is known of the session.
type Options struct {
	// Moved says that the session's working directory is the one after all its %cd, and has what %%writefile wrote, so
	// that neither must be repeated.
	Moved bool
	// Bare says that a cell of one line that begins with the name of a magic without its sign is Python, as that name
	// is bound.
	Bare bool
	// Whole says that all of the notebook becomes a script: each magic and command has one of the [Fate]s.
	Whole bool
}

// Transform translates a cell. It never fails: what is not IPython's comes out as it is.
func Transform(src string, o Options) Result {
	if !strings.ContainsAny(src, "%!?>,;/") && !strings.HasPrefix(strings.TrimLeft(src, "\n"), " ") &&
		!strings.HasPrefix(src, "\t") && !strings.Contains(src, "In [") && !strings.Contains(src, "get_ipython") &&
		!isAutomagic(strings.TrimSpace(src)) {
		return Result{Code: src}
	}
	t := transformer{o: o, lines: strings.SplitAfter(src, "\n")}
	t.cleanup(0)
	t.cell(0)
	if t.r.Opaque == "" && !t.done {
		t.statements()
	}
	t.r.Code = strings.Join(t.lines, "")
	return t.r
}

// Plain says of a text that is Python that Transform leaves it alone: it has no prompts, nor names by which IPython's
// object or a magic without its sign is called.
func Plain(src string) bool {
	if strings.Contains(src, "get_ipython") || strings.Contains(src, "In [") ||
		strings.Contains(src, "\n>>>") || strings.Contains(src, "\n...") || strings.HasPrefix(src, "...") {
		return false
	}
	line := strings.TrimSpace(src)
	return strings.Contains(line, "\n") || !isAutomagic(line)
}

// bindsNothing are cell magics that define no names.
var bindsNothing = map[string]bool{
	"timeit": true, "memit": true, "writefile": true, "file": true, "html": true, "markdown": true, "latex": true,
	"javascript": true, "js": true, "svg": true,
}

type transformer struct {
	o     Options
	lines []string // with their newlines
	r     Result
	done  bool // nothing is left to translate
}

var (
	classicPrompt  = lazyregexp.New(`^(>>>|\.\.\.)( |\r?\n?$)`)
	classicInitial = lazyregexp.New(`^>>>( |\r?\n?$)`)
	classicSecond  = lazyregexp.New(`^(>>>( |\r?\n?$)|\.\.\. +[^\s;#])`) // three dots alone are Python
	ipythonPrompt  = lazyregexp.New(`^(\[nav\] |\[ins\] )?In \[\d+\]: |^\s*\.{3,}: ?`)
	indentRE       = lazyregexp.New(`^[ \t]+`)
	cellMagicRE    = lazyregexp.New(`^%%(\w[\w.]*|[^\w\s]\S*)?(?:[ \t]+(.*))?`)
	cellHelpRE     = lazyregexp.New(`^%%\w+\?\??\s*$`)
)

// first is the first line with text from one on, or -1.
func (t *transformer) first(from int) int {
	i := slices.IndexFunc(t.lines[min(from, len(t.lines)):], func(l string) bool { return strings.TrimSpace(l) != "" })
	if i < 0 {
		return i
	}
	return from + i
}

// cleanup removes what people paste with code, from a line on: a common indent, and prompts.
func (t *transformer) cleanup(from int) {
	i := t.first(from)
	if i < 0 {
		return
	}
	if indent := indentRE.FindString(t.lines[i]); indent != "" {
		for j := i; j < len(t.lines); j++ {
			t.lines[j] = strings.TrimPrefix(t.lines[j], indent)
		}
	}
	beginning := strings.Join(t.lines[i:min(i+2, len(t.lines))], "")
	if !strings.Contains(beginning, ">>>") && !strings.Contains(beginning, "...") &&
		!strings.Contains(beginning, "In [") {
		return // no prompt is in the lines that decide
	}
	strip := func(prompt, initial, second *lazyregexp.Regexp) {
		if !initial.MatchString(t.lines[i]) && (i+1 >= len(t.lines) || !second.MatchString(t.lines[i+1])) {
			return
		}
		for j := i; j < len(t.lines); j++ {
			if m := prompt.FindString(t.lines[j]); m != "" {
				rest := t.lines[j][len(m):]
				if rest == "" && strings.HasSuffix(m, "\n") {
					rest = "\n"
				}
				t.lines[j] = rest
			}
		}
	}
	strip(classicPrompt, classicInitial, classicSecond)
	strip(ipythonPrompt, ipythonPrompt, ipythonPrompt)
}

// blank empties a line and keeps its end.
func (t *transformer) blank(i int) { t.set(i, "") }

func (t *transformer) set(i int, text string) {
	end := ""
	switch l := t.lines[i]; {
	case strings.HasSuffix(l, "\r\n"):
		end = "\r\n"
	case strings.HasSuffix(l, "\n"):
		end = "\n"
	}
	t.lines[i] = text + end
}

// cell handles a cell magic on the first line that has text, from line `from`.
func (t *transformer) cell(from int) {
	i := from
	for i < len(t.lines) && strings.TrimSpace(t.lines[i]) == "" {
		i++
	}
	if t.o.Whole && i < len(t.lines) && from == 0 && t.databricks(i) {
		return
	}
	if i >= len(t.lines) || !strings.HasPrefix(t.lines[i], "%%") || cellHelpRE.MatchString(t.lines[i]) {
		return
	}
	line := strings.TrimRight(t.lines[i], "\r\n")
	m := cellMagicRE.FindStringSubmatch(line)
	name, args := m[1], strings.TrimSpace(m[2])
	mg := Magic{Kind: Cell, Name: name, Args: args, Line: i + 1}
	if t.o.Whole {
		if !t.wholeCell(i, mg) {
			t.body(i + 1)
		}
		return
	}
	t.blank(i)
	switch name {
	case "train", "serve":
		if t.r.Ours == "" {
			t.r.Ours = name
		}
	case "time", "prun", "snakeviz", "scalene", "wandb", "notify", "memray_flamegraph":
	case "capture":
		for f := range strings.FieldsSeq(args) {
			if !strings.HasPrefix(f, "-") {
				mg.Target, mg.Binds = f, true
			}
		}
	default:
		if code := written(name, args); code != "" && !t.o.Moved {
			t.r.Magics = append(t.r.Magics, mg)
			t.script(i, code)
			return
		}
		if code := script(name, args); code != "" {
			mg.Target = strings.TrimSpace(code[:strings.Index(code, " = ")])
			t.r.Magics = append(t.r.Magics, mg)
			t.script(i, code)
			return
		}
		t.r.Opaque = name
		if name == "" {
			t.r.Opaque = "%%"
		}
		mg.Binds = !bindsNothing[name]
		t.r.Magics = append(t.r.Magics, mg)
		for j := i + 1; j < len(t.lines); j++ {
			t.blank(j)
		}
		return
	}
	t.r.Magics = append(t.r.Magics, mg)
	t.body(i + 1)
}

// body translates what stands below a cell magic, from line i on, as a cell of its own.
func (t *transformer) body(i int) {
	t.cleanup(i)
	t.cell(i)
}

// script puts the call that runs a cell's body on the first line; the lines of the body stay blank.
func (t *transformer) script(i int, code string) {
	body := strings.ReplaceAll(strings.Join(t.lines[i+1:], ""), "\r\n", "\n")
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	t.set(i, strings.Replace(code, "\x00", quote(body), 1))
	for j := i + 1; j < len(t.lines); j++ {
		t.blank(j)
	}
	t.done = true
}

// statements finds the logical lines and translates those that are IPython's.
func (t *transformer) statements() {
	only := -1 // the single line of a cell of one line
	if i := t.first(0); i >= 0 && strings.TrimSpace(strings.Join(t.lines[i+1:], "")) == "" {
		only = i
	}
	src := strings.Join(t.lines, "")
	starts := make([]int, len(t.lines)+1)
	for i, l := range t.lines {
		starts[i+1] = starts[i] + len(l)
	}
	changed := map[int]string{}
	for i := 0; i < len(t.lines); {
		line := strings.TrimRight(t.lines[i], "\r\n")
		body := strings.TrimLeft(line, " \t")
		if body == "" || body[0] == '#' {
			i++
			continue
		}
		indent := line[:len(line)-len(body)]
		if i == only && indent == "" && !t.o.Bare && isAutomagic(body) {
			t.r.Automagic, _ = split(body)
			body = "%" + body
		}
		if target, cmd := asOutput(body); cmd != "" {
			t.r.Magics = append(t.r.Magics, Magic{Kind: Shell, Args: cmd, Target: target, Line: i + 1})
			out, _ := assignedValue(Magic{Kind: Shell, Args: cmd})
			changed[i] = indent + target + " = " + out
			i++
			continue
		}
		if escape := asEscape(body); escape != "" {
			body = escape // it is one line
		}
		if strings.IndexByte("%!?,;/", body[0]) >= 0 {
			n := i + 1
			text := body
			for n < len(t.lines) && t.lines[n] != "" && strings.HasSuffix(text, "\\") {
				text = strings.TrimSuffix(text, "\\") + " " + strings.TrimRight(t.lines[n], " \t\r\n")
				n++
			}
			out := t.escaped(text, i+1, indent)
			changed[i] = indent + out
			if out == "" {
				changed[i] = ""
			}
			for j := i + 1; j < n; j++ {
				changed[j] = ""
			}
			i = n
			continue
		}
		i = t.logical(src, starts, i, indent, changed)
	}
	for i, text := range changed {
		t.set(i, text)
	}
}

var calledMagic = lazyregexp.New(
	`^get_ipython\(\)\.(run_line_magic|magic|system)\((.*)\)[ \t]*;?[ \t]*(#.*)?$`)

// asEscape is the magic or command that a line calls by its object, which is what nbconvert writes for one:
// get_ipython().run_line_magic('matplotlib', 'inline'). It is "" where that is none, or is not known.
func asEscape(body string) string {
	if !strings.HasPrefix(body, "get_ipython") {
		return ""
	}
	m := calledMagic.FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	var args []string
	for rest := strings.TrimSpace(m[2]); rest != ""; {
		value, after, ok := cutString(rest)
		if !ok {
			return ""
		}
		args = append(args, value)
		if rest = strings.TrimSpace(after); rest != "" {
			if rest[0] != ',' {
				return ""
			}
			rest = strings.TrimSpace(rest[1:])
		}
	}
	switch {
	case m[1] == "system" && len(args) == 1 && args[0] != "":
		return "!" + args[0]
	case m[1] == "magic" && len(args) == 1 && args[0] != "":
		return "%" + strings.TrimPrefix(args[0], "%")
	case m[1] == "run_line_magic" && (len(args) == 1 || len(args) == 2) && args[0] != "":
		return strings.TrimRight("%"+args[0]+" "+strings.Join(args[1:], ""), " ")
	}
	return ""
}

var calledOutput = lazyregexp.New(`^([A-Za-z_][\w.]*) *= *get_ipython\(\)\.getoutput\((.*)\)[ \t]*(#.*)?$`)

// asOutput is the command whose output a line assigns by IPython's object, and to what: files = !ls.
func asOutput(body string) (target, cmd string) {
	if !strings.Contains(body, "getoutput") {
		return "", ""
	}
	m := calledOutput.FindStringSubmatch(body)
	if m == nil {
		return "", ""
	}
	cmd, after, ok := cutString(strings.TrimSpace(m[2]))
	if !ok || strings.TrimSpace(after) != "" {
		return "", ""
	}
	return m[1], cmd
}

// cutString reads a string literal of one line, and gives what stands behind it.
func cutString(text string) (value, after string, ok bool) {
	if text == "" || text[0] != '\'' && text[0] != '"' || strings.HasPrefix(text[1:], text[:1]+text[:1]) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == text[0]:
			return b.String(), text[i+1:], !strings.Contains(b.String(), "\n")
		case c == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case '\'', '"', '\\':
				b.WriteByte(text[i])
			default:
				return "", "", false
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// logical scans one logical line that begins at line i and gives the line after it.
func (t *transformer) logical(src string, starts []int, i int, indent string, changed map[int]string) int {
	s := token.NewScanner(src, starts[i])
	lineOf := func(off int) int {
		n := i
		for n+1 < len(starts)-1 && starts[n+1] <= off {
			n++
		}
		return n
	}
	assign, lastOp, last := -1, -1, token.Token{End: starts[i]}
	for {
		tok, ok := s.Next()
		if !ok {
			last = token.Token{Kind: token.Newline, Start: len(src), End: len(src)}
			break
		}
		if tok.Kind == token.Newline || tok.Kind == token.Bad {
			last = tok
			break
		}
		if tok.Kind == token.NL && s.Depth == 0 {
			last = tok
			break
		}
		if tok.Kind == token.Comment || tok.Kind == token.NL {
			continue
		}
		c := src[tok.Start]
		if assign >= 0 && tok.Kind == token.Op && (c == '%' || c == '!') &&
			strings.TrimLeft(src[assign+1:tok.Start], " \t\\\r\n") == "" {
			if c == '!' || tok.End < len(src) && (src[tok.End] == '_' || isLetter(src[tok.End])) {
				return t.assigned(src, starts, i, lineOf(tok.Start), assign, tok.Start, changed)
			}
		}
		if assign < 0 && s.Depth == 0 && tok.Kind == token.Op && c == '=' && isAssign(src, tok.Start) {
			assign = tok.Start
		}
		lastOp = -1
		if tok.Kind == token.Op && c == '?' {
			lastOp = tok.Start
		}
	}
	next := lineOf(max(last.Start, starts[i])) + 1
	if last.Kind == token.Bad && next == i+1 &&
		strings.HasSuffix(strings.TrimRight(strings.TrimRight(src[last.Start:last.End], " \t\r\n"), "?"), "") {
		// An unterminated string ends the analysis of this line; IPython would show the error.
		return next
	}
	if of, ok := "", false; lastOp >= 0 {
		text := strings.TrimSpace(src[starts[i]:lastOp])
		if of, ok = asked(text + "?"); !ok {
			return next // it is no Python
		}
		t.r.Magics = append(t.r.Magics, Magic{
			Kind: Help, Args: of, Line: i + 1, Fate: Dropped, Indented: indent != "",
		})
		changed[i] = ""
		switch {
		case t.o.Whole:
			changed[i] = indent + left(indent, text+"?")
		case indent != "":
			changed[i] = indent + "pass"
		}
		for j := i + 1; j < next; j++ {
			changed[j] = ""
		}
	}
	return next
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }

// isAssign distinguishes an assignment's sign from ==, <=, :=, += and the like.
func isAssign(src string, pos int) bool {
	if pos+1 < len(src) && src[pos+1] == '=' {
		return false
	}
	return pos == 0 || !strings.ContainsRune("=<>!:+-*/%&|^@~", rune(src[pos-1]))
}

// assigned translates `x = %magic` and `x = !command`; both go to the end of their line, or further after a backslash.
func (t *transformer) assigned(src string, starts []int, i, at, assign, pos int, changed map[int]string) int {
	n := at + 1
	text := strings.TrimRight(src[pos:starts[at+1]], "\r\n")
	for n < len(t.lines) && t.lines[n] != "" && strings.HasSuffix(text, "\\") {
		text = strings.TrimSuffix(text, "\\") + " " + strings.TrimRight(t.lines[n], " \t\r\n")
		n++
	}
	target := src[starts[i] : assign+1]
	mg := Magic{Line: at + 1, Target: strings.TrimSpace(continued.Replace(src[starts[i]:assign]))}
	mg.Kind = Shell
	if text[0] == '!' {
		mg.Args = strings.TrimSpace(strings.TrimLeft(text, "!"))
	} else {
		mg.Kind = Line
		mg.Name, mg.Args = split(text[1:])
	}
	var out string
	if t.o.Whole {
		raises := false
		out, raises = t.wholeValue(mg, strings.TrimSpace(src[starts[i]:starts[n]]))
		if raises {
			target = t.lines[i][:len(t.lines[i])-len(strings.TrimLeft(t.lines[i], " \t"))]
			out = strings.ReplaceAll(out, "\n", " ")
			for j := i; j < n; j++ {
				changed[j] = ""
			}
			changed[i] = target + out
			return n
		}
	} else {
		var ok bool
		out, ok = assignedValue(mg)
		mg.Kernel = !ok
		t.r.Magics = append(t.r.Magics, mg)
	}
	for j := i + 1; j < n; j++ {
		changed[j] = ""
	}
	// The sign may stand on an earlier line, continued by a backslash: all on one line, but for those of a target that
	// is in brackets.
	parts := strings.Split(continued.Replace(target)+" "+out, "\n")
	for j, part := range parts {
		changed[i+j] = strings.TrimSuffix(part, "\r")
	}
	return n
}

// continued takes out the ends of lines that a backslash continues.
var continued = strings.NewReplacer("\\\r\n", " ", "\\\n", " ")

// split parts a magic's name from its arguments. s has no sign.
func split(s string) (name, args string) {
	name, args, _ = strings.Cut(s, " ")
	return strings.TrimSpace(name), strings.TrimSpace(args)
}

// automagics are magics that people call without their sign.
var automagics = func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq("cd ls ll la lf pwd pip conda mamba who whos cat mkdir rmdir rm cp mv man " +
		"less more matplotlib pylab time timeit run load load_ext reload_ext autoreload reset env set_env history " +
		"config store colors debug pdb prun psearch magic lsmagic precision xmode uv") {
		all[name] = true
	}
	return all
}()

// isAutomagic says whether a line without blanks around it calls a magic without its sign.
func isAutomagic(line string) bool {
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		end = len(line)
	}
	name, rest := line[:end], strings.TrimSpace(line[end:])
	if !automagics[name] || strings.Contains(rest, "\n") {
		return false
	}
	if rest == "" {
		// A bare word may as well be a variable that is shown; dropping either changes nothing.
		return name != "time" && name != "env" && name != "history" && name != "config" && name != "store"
	}
	return strings.IndexByte("=([,+*%&|^<>", rest[0]) < 0 && !strings.HasPrefix(rest, "in ") &&
		!strings.HasPrefix(rest, "is ") &&
		!strings.HasPrefix(rest, "if ") && !strings.HasPrefix(rest, "and ") && !strings.HasPrefix(rest, "or ") &&
		!strings.HasPrefix(rest, "not ") &&
		(rest[0] != '-' || len(rest) > 1 && rest[1] != ' ') && (rest[0] != '/' || len(rest) > 1 && rest[1] != ' ')
}
