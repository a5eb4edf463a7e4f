package jupytext

import (
	"regexp"
	"strings"

	"github.com/metaml/metaml/internal/lazyregexp"
)

// Lines that are IPython's and not Python's are comments in a script. The expressions are those of jupytext's
// magics.py.
var (
	pythonShell  = lazyregexp.New(`^\s*(?:(?:# |#)+\s*)?[?!]\s*[A-Za-z.~$\\/{}]`)
	pythonAlias  = lazyregexp.New(`^(# |#)*(cat|cd|cp|mv|rm|rmdir|mkdir|copy|ddir|echo|ls|ldir|ren)($|\s$|\s[^=,])`)
	pythonHelp   = lazyregexp.New(`^\s*(# )*\S*\?\s*$`)
	pythonAssign = lazyregexp.New(`^(# |#)*\s*([a-zA-Z_][a-zA-Z_$0-9]*)\s*=\s*(%|%%|%%%|!)[a-zA-Z]`)
	escape       = lazyregexp.New(`\s*(no)?escape`)
)

// isMagic says whether a line, which may be a comment already, is a comment in a script.
func isMagic(line, name string, commentMagics bool) bool {
	name = usualToJupytext(name)
	comment := commentOf(name)
	switch name {
	case "matlab", "SAS", "sas", "jenner", "logtalk":
		return false
	}
	if comment == "" {
		return false
	}
	if name == "python" && !mayBeMagic(line) {
		return false
	}
	percent := name != "rust" && name != "csharp" && isPercent(line, name, comment)
	if percent && name != "go" {
		force, not := escapes(line, comment)
		if force {
			return true
		}
		if not {
			return false
		}
	}
	if !commentMagics {
		return false
	}
	switch name {
	case "rust":
		return afterComments(line, comment, ":")
	case "csharp":
		return afterComments(line, comment, "#!")
	case "go":
		return percent
	case "python":
		return percent || pythonShell.MatchString(line) || pythonAssign.MatchString(line) ||
			pythonHelp.MatchString(line) || pythonAlias.MatchString(line)
	}
	return percent
}

// usualToJupytext is [usual] without the names that jupytext does not know.
func usualToJupytext(name string) string {
	switch strings.ToLower(name) {
	case "js", "node", "deno", "shell", "sh", "zsh", "wolfram", "cpp", "c", "polyglot-notebook":
		return name
	case "sas":
		return "SAS"
	}
	return usual(name)
}

// mayBeMagic finds quickly that most lines of Python are no magics.
func mayBeMagic(line string) bool {
	rest := strings.TrimLeft(line, " \t\n\v\f\r#")
	if rest == "" {
		return false
	}
	switch rest[0] {
	case '%', '?', '!', 'c', 'm', 'r', 'd', 'e', 'l':
		return true
	}
	return strings.ContainsAny(rest, "?!%")
}

// isPercent is "%name", "%%name" or "%%%name", behind any number of comment signs.
func isPercent(line, name, comment string) bool {
	if name != "go" {
		line = strings.TrimLeft(line, blanks)
	}
	rest := trimComments(line, comment)
	if name == "go" && strings.HasPrefix(rest, "!") {
		rest = strings.TrimPrefix(rest[1:], "*")
		return rest != "" && letter(rest[0])
	}
	if comment == "%" || rest == "" || rest[0] != '%' {
		return false
	}
	n := len(rest) - len(strings.TrimLeft(rest, "%"))
	return n <= 3 && n < len(rest) && letter(rest[n])
}

func afterComments(line, comment, sign string) bool {
	rest, ok := strings.CutPrefix(trimComments(line, comment), sign)
	return ok && rest != "" && letter(rest[0])
}

func trimComments(line, comment string) string {
	for strings.HasPrefix(line, comment) {
		line = strings.TrimPrefix(line[len(comment):], " ")
	}
	return line
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// escapes finds "# escape" and "# noescape", by which a person says whether a magic is to be a comment.
func escapes(line, comment string) (force, not bool) {
	if !strings.Contains(line, "escape") {
		return false, false
	}
	for i := range len(line) {
		if strings.HasPrefix(line[i:], comment) {
			if m := escape.FindStringSubmatchIndex(line[i+len(comment):]); m != nil && m[0] == 0 {
				if m[2] < 0 {
					force = true
				} else {
					not = true
				}
			}
		}
	}
	return force, not
}

// continued says whether a magic goes on in the next line.
func continued(line string) bool { return strings.HasSuffix(strings.TrimRight(line, blanks), `\`) }

// commented makes a line a comment, behind its indentation.
func commented(line, comment string, whole bool) string {
	rest := line
	if !whole {
		rest = strings.TrimLeft(line, blanks)
	}
	return line[:len(line)-len(rest)] + comment + " " + rest
}

// uncommented is the opposite of commented.
func uncommented(line, comment string) string {
	rest := strings.TrimLeft(line, blanks)
	indent := line[:len(line)-len(rest)]
	if after, ok := strings.CutPrefix(rest, comment); ok {
		return indent + strings.TrimPrefix(after, " ")
	}
	return line
}

// marks knows the lines that begin cells of scripts in a language.
type marks struct {
	language
	start   *regexp.Regexp // a marker with something behind it
	plain   *regexp.Regexp // one without
	escaped *regexp.Regexp // a line that is like a marker behind one comment sign more
}

func marksOf(l language) *marks {
	sign := regexp.QuoteMeta(l.comment)
	suffix := ""
	if l.suffix != "" {
		suffix = `(?:\s*` + regexp.QuoteMeta(l.suffix) + `)?`
	}
	return &marks{
		language: l,
		start:    regexp.MustCompile(`^\s*` + sign + `\s*%%(%*)\s`),
		plain:    regexp.MustCompile(`^\s*` + sign + `\s*(%%|<codecell>|In\[[0-9 ]*\]:?)` + suffix + `\s*$`),
		escaped: regexp.MustCompile(`^\s*` + sign + ` (?:` + sign + ` )*` + sign +
			`\s*(?:%%%*\s.*|%%|<codecell>|In\[[0-9 ]*\]:?)` + suffix + `\s*$`),
	}
}

// begins says whether a line begins a cell.
func (m *marks) begins(line string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, blanks), m.comment)
	if !ok {
		return false
	}
	if rest = strings.TrimLeft(rest, blanks); rest == "" || rest[0] != '%' && rest[0] != 'I' && rest[0] != '<' {
		return false
	}
	return m.start.MatchString(line) || m.plain.MatchString(line)
}

// isEscaped says whether a line is like a marker behind one comment sign more.
func (m *marks) isEscaped(line string) bool {
	if !strings.Contains(line, "%%") && !strings.Contains(line, "In[") && !strings.Contains(line, "<codecell>") {
		return false
	}
	return m.escaped.MatchString(line)
}
