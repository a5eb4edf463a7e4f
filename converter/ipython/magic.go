package ipython

import (
	"strings"

	"github.com/metaml/metaml/internal/lazyregexp"
)

// dropped are line magics that change the notebook or show something, and define nothing.
var dropped = map[string]bool{
	"matplotlib": true, "load_ext": true, "reload_ext": true, "unload_ext": true, "autoreload": true, "aimport": true,
	"config":    true,
	"precision": true, "timeit": true, "memit": true, "who": true, "whos": true, "who_ls": true, "pwd": true,
	"ls": true, "ll": true,
	"cat": true, "pip": true, "conda": true, "mamba": true, "micromamba": true, "uv": true, "history": true,
	"hist": true, "xmode": true,
	"colors": true, "debug": true, "pdb": true, "lsmagic": true, "magic": true, "quickref": true, "pinfo": true,
	"pinfo2": true, "pdoc": true,
	"pdef": true, "psource": true, "pfile": true, "page": true, "psearch": true, "mkdir": true, "rmdir": true,
	"rm": true, "cp": true, "mv": true,
	"man": true, "less": true, "more": true, "load": true, "loadpy": true, "notebook": true, "save": true,
	"dhist": true, "pushd": true, "popd": true,
	"dirs": true, "alias": true, "unalias": true, "rehashx": true, "logstart": true, "logstop": true, "logon": true,
	"logoff":   true,
	"logstate": true, "automagic": true, "autocall": true, "autoawait": true, "gui": true, "killbgscripts": true,
	"tb":           true,
	"doctest_mode": true, "pprint": true, "metaml": true, "tensorboard": true, "watermark": true, "qtconsole": true,
	"connect_info": true,
	"reset":        true, "reset_selective": true, "xdel": true, "code_wrap": true, "subshell": true, "sx": true,
	"system": true, "sc": true,
}

var environRE = lazyregexp.New(`^([A-Za-z_]\w*)(?:\s*=\s*|\s+)(.*)$`)

// escaped translates a command that begins with an escape character. Inside a block nothing becomes pass.
func (t *transformer) escaped(text string, line int, indent string) string {
	if t.o.Whole {
		return t.wholeEscape(text, line, indent)
	}
	nothing := ""
	if indent != "" {
		nothing = "pass"
	}
	add := func(m Magic) { m.Line = line; t.r.Magics = append(t.r.Magics, m) }
	if of, ok := asked(text); ok {
		add(Magic{Kind: Help, Args: of})
		return nothing
	}
	switch text[0] {
	case '!':
		cmd := strings.TrimSpace(strings.TrimLeft(text, "!"))
		add(Magic{Kind: Shell, Args: cmd})
		switch made := folders(cmd); {
		case indent == "" && made != "" && !t.o.Moved:
			return made
		case indent == "":
			return "" // nobody can see what it does
		case installRE.MatchString(cmd):
			return nothing
		case strings.HasPrefix(text, "!!"):
			return command(Lines, cmd, "")
		}
		return command(Run, cmd, "")
	case ',', ';', '/':
		name, args := split(text[1:])
		add(Magic{Kind: Autocall, Name: name, Args: args})
		switch text[0] {
		case ',':
			fields := strings.Fields(args)
			if len(fields) == 0 {
				fields = []string{""}
			}
			for i, f := range fields {
				fields[i] = quote(f)
			}
			return name + "(" + strings.Join(fields, ", ") + ")"
		case ';':
			return name + "(" + quote(args) + ")"
		}
		return name + "(" + strings.Join(strings.FieldsFunc(args, func(r rune) bool {
			return r == ' ' || r == '\t' || r == ','
		}), ", ") + ")"
	}
	name, args := split(text[1:])
	m := Magic{Kind: Line, Name: name, Args: args}
	switch {
	case name == "time" || name == "prun":
		add(m)
		if code := timed(args); code != "" {
			return code
		}
		return nothing
	case (name == "env" || name == "set_env") && environRE.MatchString(args):
		add(m)
		kv := environRE.FindStringSubmatch(args)
		return "__import__('os').environ[" + quote(kv[1]) + "] = " + expandedText(strings.TrimSpace(kv[2]))
	case name == "env" || name == "set_env":
		add(m)
		return nothing
	case name == "cd":
		add(m)
		dir := strings.Trim(strings.TrimSpace(strings.TrimPrefix(args, "-q")), `"'`)
		if t.o.Moved || dir == "-" {
			return nothing
		}
		if dir == "" {
			dir = "~"
		}
		to := expandedText(dir)
		if strings.HasPrefix(dir, "~") {
			to = "__import__('os').path.expanduser(" + to + ")"
		}
		return "__import__('os').chdir(" + to + ")"
	case name == "pylab":
		add(m)
		return "import numpy, matplotlib; from matplotlib import pylab, mlab, pyplot; import numpy as np; import " +
			"matplotlib.pyplot as plt; from pylab import *; from numpy import *"
	case (name == "sx" || name == "system") && indent != "" && args != "" && !installRE.MatchString(args):
		add(m)
		return command(Lines, args, "")
	case name == "mkdir" && indent == "" && !t.o.Moved:
		add(m)
		return folders("mkdir " + args)
	case dropped[name] || name == "":
		add(m)
		return nothing
	}
	m.Binds, m.Kernel = true, indent != ""
	add(m)
	if indent == "" {
		return ""
	}
	return call(name, args)
}

var helpRE = lazyregexp.New(`(%{0,2}[\pL_*][\w\pL*]*(?:\.[\pL_*][\w\pL*]*|\[-?[0-9]+\])*)\?\??$`)

// asked is what a line asks help of, which IPython looks for before all else: !ls a? asks for that of a. It is false
// where a line asks for none.
func asked(text string) (of string, ok bool) {
	text = strings.TrimRight(text, " \t")
	if found := helpRE.FindStringSubmatch(text); found != nil {
		return found[1], true
	}
	if strings.HasPrefix(text, "?") {
		return strings.Trim(text, "? \t"), true
	}
	return "", false
}

var mkdirRE = lazyregexp.New(`^mkdir((?: +(?:-p|--parents|-v|-pv|-vp))*)((?: +[\w./][\w./-]*)+)$`)

// folders translates a command that makes folders and does nothing else; "" is another one. What is there already is no
// error, as it may have been made by the notebook.
func folders(command string) string {
	m := mkdirRE.FindStringSubmatch(strings.TrimSpace(command))
	if m == nil {
		return ""
	}
	var calls []string
	for dir := range strings.FieldsSeq(m[2]) {
		calls = append(calls, "__import__('os').makedirs("+quote(dir)+", exist_ok=True)")
	}
	return strings.Join(calls, "; ")
}

// assignedValue is the expression for what a magic or command gives: x = %magic, x = !command. It is false where only
// the kernel can do it.
func assignedValue(m Magic) (code string, ok bool) {
	shell := m.Kind == Shell || m.Name == "sx" || m.Name == "system"
	switch {
	case shell && installRE.MatchString(m.Args):
		return "[]", true // installing belongs to the environment
	case shell:
		return command(Lines, m.Args, ""), true
	case m.Name == "time" || m.Name == "prun":
		if code := timed(m.Args); code != "" {
			return code, true
		}
	case m.Name == "pwd":
		return "__import__('os').getcwd()", true
	case m.Name == "env" && nameRE.MatchString(m.Args):
		return "__import__('os').getenv(" + quote(m.Args) + ")", true
	}
	return call(m.Name, m.Args), false
}

var nameRE = lazyregexp.New(`^\w+$`)

func call(name, args string) string {
	return "get_ipython().run_line_magic(" + quote(name) + ", " + quote(args) + ")"
}

// timed is the statement that %time or %prun runs.
func timed(args string) string {
	for strings.HasPrefix(args, "-") {
		option, rest, _ := strings.Cut(args, " ")
		rest = strings.TrimSpace(rest)
		switch option {
		case "-l", "-s", "-T", "-D": // options of %prun with a value
			_, rest, _ = strings.Cut(rest, " ")
			rest = strings.TrimSpace(rest)
		case "-r", "-q", "--no-raise-error", "--":
		default:
			if len(option) < 2 || option[1] < 'a' || option[1] > 'z' {
				return args // an expression such as -x
			}
			return args
		}
		args = rest
	}
	return args
}

// quote writes a Python string literal.
func quote(s string) string {
	q := byte('\'')
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', q:
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case 0:
			b.WriteString(`\x00`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(q)
	return b.String()
}

// OwnMagic gives the cell magic of MetaML over a cell, "train" or "serve", and what stands behind it on its line; both
// are "" where there is none. It may stand below other cell magics, as in a cell that begins with %%time.
func OwnMagic(source string) (name, line string) {
	r := Transform(source, Options{})
	for _, m := range r.Magics {
		if m.Kind == Cell && m.Name == r.Ours {
			return r.Ours, m.Args
		}
	}
	return r.Ours, ""
}
