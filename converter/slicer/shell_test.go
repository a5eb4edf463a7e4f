package slicer

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// kept gives the statements that come from cells; those that MetaML writes by their origin and name.
func kept(s *Slice) string {
	var out []string
	for _, st := range s.Statements {
		if st.Cell == 0 {
			out = append(out, st.Origin+": "+strings.Join(st.Defines, " "))
		} else {
			out = append(out, strings.Trim(st.Text, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

func TestCommands(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{
			"its value", "word = 'two'\nother = 1\nl = !echo $word\n---\ndef f(): return l",
			"shell: _metaml_lines\nword = 'two'\nl = _metaml_lines('echo $word', lambda: 'echo " +
				"{}'.format(word))\ndef f(): return l",
		},
		{
			"a variable of the shell", "l = !echo $HOME\n---\ndef f(): return l",
			"shell: _metaml_lines\nl = _metaml_lines('echo $HOME', lambda: 'echo {}'.format(HOME))\ndef f(): return l",
		},
		{
			"a name that is bound later is the shell's", "l = !echo $HOME\nHOME = 1\n---\ndef f(): return l",
			"shell: _metaml_lines\nl = _metaml_lines('echo $HOME', lambda: 'echo {}'.format(HOME))\ndef f(): return l",
		},
		{
			"what makes a word",
			"import os\nd = {'k': 1}\nd['k'] = 2\nl = !echo {d['k']}\nd['k'] = 3\n---\ndef f(): return l",
			"shell: _metaml_lines\nd = {'k': 1}\nd['k'] = 2\nl = _metaml_lines(\"echo {d['k']}\", lambda: 'echo " +
				"{}'.format((d['k'])))\ndef f(): return l",
		},
		{
			"in the function", "name = 'a'\n---\ndef f():\n    !echo $name {x}\n    x = !ls\n    return x",
			"shell: _metaml_run\nshell: _metaml_lines\nname = 'a'\ndef f():\n    _metaml_run('echo $name {x}', " +
				"lambda: 'echo {} {}'.format(name, x))\n    x = _metaml_lines('ls')\n    return x",
		},
		{
			"alone it is left out", "x = [1]\n!ls {x}\nfor i in x:\n    !echo $i\n!!ls $x\n---\ndef f(): return x",
			"x = [1]\ndef f(): return x",
		},
		{
			"in a block that is needed",
			"x = []\nfor i in '12':\n    !echo $i\n    x.append(i)\n---\ndef f(): return x",
			"shell: _metaml_run\nx = []\nfor i in '12':\n    _metaml_run('echo $i', lambda: 'echo {}'.format(i))\n   " +
				" x.append(i)\ndef f(): return x",
		},
		{
			"of a helper that comes later",
			"def f(): return g()\n---\nl = !ls\n---\ndef g():\n    m = !ls\n    return l, m\n---\ndef f(): return g()",
			"shell: _metaml_lines\nl = _metaml_lines('ls')\ndef g():\n    m = _metaml_lines('ls')\n    return l, " +
				"m\ndef f(): return g()",
		},
		{
			"a script", "n = 3\n---\n%%bash -s $n --out text\necho $1\n---\ndef f(): return text",
			"shell: _metaml_script\nn = 3\ntext = _metaml_script('bash -s $n', 'echo $1\\n', expand=lambda: 'bash -s " +
				"{}'.format(n))[0]\ndef f(): return text",
		},
		{
			"where the session is", "here = %pwd\nhome = %env HOME\nother = %pwd\n---\ndef f(): return here, home",
			"here = __import__('os').getcwd()\nhome = __import__('os').getenv('HOME')\ndef f(): return here, home",
		},
		{
			"the environment", "p = 'a'\n%env A=$p\n%env B=$HOME\n---\ndef f(): return 1",
			"shell: _metaml_text\np = 'a'\n__import__('os').environ['A'] = _metaml_text('$p', lambda: " +
				"'{}'.format(p))\n__import__('os').environ['B'] = _metaml_text('$HOME', lambda: " +
				"'{}'.format(HOME))\ndef f(): return 1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantText(t, kept(of(t, live(c.cells), Options{})), c.want)
		})
	}
}

func TestAWordThatIsAliveWithoutSourceIsRefused(t *testing.T) {
	doc := live("l = !echo $secret\n---\ndef f(): return l")
	doc.Names = map[string]session.Name{"secret": {Kind: "value"}, "l": {Kind: "value"}}
	wantText(t, complain(t, doc, Options{}).Error(),
		"l uses `secret` (cell 1, line 1), which no cell defines\nDefine it in a cell, or ship its value with --with "+
			"secret.")
}
