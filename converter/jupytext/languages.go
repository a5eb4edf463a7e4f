package jupytext

import (
	_ "embed" // for the licence
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
)

// Licence is the licence (MIT) of jupytext, whose table of languages and expressions for magics are in this package:
// programs that contain it must carry the text.
//
//go:embed licence/LICENSE
var Licence string

// language is how a language is written in scripts. The table is that of jupytext 1.19 (jupytext/languages.py), with
// SQL, Kotlin, PHP, Perl, Ruby and Swift, which it does not know.
type language struct {
	name      string
	extension string
	comment   string
	suffix    string // ends a comment, where the language has no comments to the end of the line
}

var languages = []language{
	{"python", ".py", "#", ""},
	{"coconut", ".coco", "#", ""},
	{"R", ".R", "#", ""},
	{"R", ".r", "#", ""},
	{"julia", ".jl", "#", ""},
	{"c++", ".cpp", "//", ""},
	{"scheme", ".ss", ";;", ""},
	{"clojure", ".clj", ";;", ""},
	{"scheme", ".scm", ";;", ""},
	{"bash", ".sh", "#", ""},
	{"powershell", ".ps1", "#", ""},
	{"q", ".q", "/", ""},
	{"matlab", ".m", "%", ""},
	{"wolfram language", ".wolfram", "(*", "*)"},
	{"idl", ".pro", ";", ""},
	{"javascript", ".js", "//", ""},
	{"typescript", ".ts", "//", ""},
	{"scala", ".scala", "//", ""},
	{"rust", ".rs", "//", ""},
	{"robotframework", ".robot", "#", ""},
	{"robotframework", ".resource", "#", ""},
	{"csharp", ".cs", "//", ""},
	{"fsharp", ".fsx", "//", ""},
	{"fsharp", ".fs", "//", ""},
	{"sos", ".sos", "#", ""},
	{"java", ".java", "//", ""},
	{"groovy", ".groovy", "//", ""},
	{"sage", ".sage", "#", ""},
	{"ocaml", ".ml", "(*", "*)"},
	{"haskell", ".hs", "--", ""},
	{"tcl", ".tcl", "#", ""},
	{"maxima", ".mac", "/*", "*/"},
	{"gnuplot", ".gp", "#", ""},
	{"stata", ".do", "//", ""},
	{"sas", ".sas", "/*", "*/"},
	{"jenner", ".jenner", "/*", "*/"},
	{"xonsh", ".xsh", "#", ""},
	{"logtalk", ".lgt", "%", ""},
	{"logtalk", ".logtalk", "%", ""},
	{"lua", ".lua", "--", ""},
	{"go", ".go", "//", ""},

	{"sql", ".sql", "--", ""},
	{"kotlin", ".kts", "//", ""},
	{"kotlin", ".kt", "//", ""},
	{"php", ".php", "//", ""},
	{"perl", ".pl", "#", ""},
	{"ruby", ".rb", "#", ""},
	{"swift", ".swift", "//", ""},
}

// ours are the languages of the table that jupytext does not know: their magics are not looked for.
var ours = map[string]bool{"sql": true, "kotlin": true, "php": true, "perl": true, "ruby": true, "swift": true}

// cellLanguages are the magics "%%NAME" of cells in another language.
var cellLanguages = func() map[string]bool {
	known := map[string]bool{}
	for _, name := range []string{
		"R", "bash", "sh", "python", "python2", "python3", "coconut", "javascript", "js", "perl", "html", "latex",
		"markdown", "pypy", "ruby", "script", "svg", "matlab", "octave", "idl", "robotframework", "sas", "spark", "sql",
		"cython", "haskell", "tcl", "gnuplot", "wolfram language", "c#", "f#", "cs", "fs",
	} {
		known[name] = true
	}
	for _, l := range languages {
		if !ours[l.name] {
			known[l.name] = true
		}
	}
	return known
}()

// anyCase are cellLanguages and the same in capitals, as Markdown's fences may have them.
var anyCase = func() map[string]bool {
	known := map[string]bool{}
	for name := range cellLanguages {
		known[name], known[strings.ToUpper(name)] = true, true
	}
	return known
}()

// byExtension gives the language of scripts with an extension.
func byExtension(extension string) (language, bool) {
	for _, l := range languages {
		if l.extension == extension {
			return l, true
		}
	}
	return language{}, false
}

// byName gives a language by a name that notebooks use.
func byName(name string) (language, bool) {
	name = usual(name)
	for _, l := range languages {
		if l.name == name || strings.EqualFold(l.name, name) {
			return l, true
		}
	}
	return language{}, false
}

func commentOf(name string) string {
	for _, l := range languages {
		if l.name == name && !ours[name] {
			return l.comment
		}
	}
	return ""
}

// usual is the name in the table of a language.
func usual(name string) string {
	name = strings.ToLower(name)
	switch {
	case name == "r":
		return "R"
	case strings.HasPrefix(name, "c++"), name == "cpp", name == "c":
		return "c++"
	case name == "octave":
		return "matlab"
	case name == "cs", name == "c#", name == "polyglot-notebook":
		return "csharp"
	case name == "fs", name == "f#":
		return "fsharp"
	case name == "js", name == "node", name == "deno":
		return "javascript"
	case name == "shell", name == "sh", name == "zsh":
		return "bash"
	case name == "wolfram":
		return "wolfram language"
	}
	return name
}

// scriptLanguage is the language that a notebook's script is in: that of its language_info's extension where that is
// one of the table, else that of the language's name.
func scriptLanguage(d *nbformat.Document) language {
	m := d.Metadata()
	info, spec := m.Get("language_info"), m.Get("kernelspec").Get("language").Text()
	extension := info.Get("file_extension").Text()
	switch {
	case extension == ".py" && spec == "sage":
		extension = ".sage"
	case extension == ".C":
		extension = ".cpp" // ROOT
	case extension == ".r":
		extension = ".R"
	case extension == ".fs":
		extension = ".fsx"
	case extension == ".resource":
		extension = ".robot"
	}
	if l, ok := byExtension(extension); ok {
		return l
	}
	for _, name := range []string{
		spec, info.Get("name").Text(), m.Get("jupytext").Get("main_language").Text(), d.Language(),
	} {
		if l, ok := byName(name); ok && name != "" {
			return l
		}
	}
	if extension == "" && spec == "" && info.Get("name").Text() == "" {
		return languages[0]
	}
	// A language that the table does not know: most of those have #.
	l := language{name: info.Get("name").Text(), extension: ".txt", comment: "#"}
	sane := len(extension) > 1 && len(extension) < 12 && extension[0] == '.'
	if sane && !strings.ContainsAny(extension[1:], "./\\ \x00") {
		l.extension = extension
	}
	return l
}

// defaultLanguage is the language of cells that do not name theirs.
func defaultLanguage(notebook metadata, script language) string {
	name := notebook.get("jupytext").Get("main_language").Text()
	if name == "" {
		name = notebook.get("kernelspec").Get("language").Text()
	}
	switch {
	case name == "":
		return script.name
	case name == "R" || name == "sas":
		return name
	case strings.HasPrefix(name, "C++"):
		return "c++"
	}
	return strings.ReplaceAll(strings.ToLower(name), "#", "sharp")
}
