package slicer

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
	"github.com/metaml/metaml/internal/prose"
)

// This file finds what a saved notebook or a script writes to files that the program reads. In a live session these are
// there.

// makesFolder says that a call makes a folder or an empty file at the path that its object is: Path("x").mkdir(). Like
// os.makedirs it is a setting of the process.
func (c *call) makesFolder(method string) bool {
	return c.discarded && (method == "mkdir" || method == "touch") &&
		!slices.ContainsFunc(c.args, func(a arg) bool { return a.key == "" })
}

// repeatable lets a statement make folders that the session has made already: os.mkdir("x") and Path("x").mkdir() fail
// where the folder is there.
func repeatable(s *stmt) []edit {
	if isDefinition(s.node) || !strings.Contains(s.text, "mkdir") && !strings.Contains(s.text, "makedirs") {
		return nil
	}
	var edits []edit
	s.node.Walk(func(n *syntax.Node) bool {
		if n.Kind != "expression_statement" {
			return !isDefinition(n)
		}
		call := n.Of("call")
		if call == nil {
			return false
		}
		name := lastName(call.Child("function"))
		if name != "mkdir" && name != "makedirs" {
			return false
		}
		if args := call.Child("arguments"); args != nil && strings.Contains(args.Text(), "exist_ok") {
			return false
		}
		src := s.cell.tree.Src
		before := strings.TrimLeft(src[strings.LastIndexByte(src[:n.Start], '\n')+1:n.Start], " \t")
		behind := strings.TrimLeft(src[n.End:], " \t")
		if n == s.node || before == "" && !strings.HasPrefix(behind, ";") { // with: begins a line
			at := n.Start - s.node.Start
			edits = append(edits, edit{at, at, `with __import__("contextlib").suppress(FileExistsError): `})
		}
		return false
	})
	return edits
}

// writers are functions and methods that write a file or a folder which they are given the path of.
var writers = words(`
	write_text write_bytes touch mkdir makedirs copy copy2 copyfile copytree move unpack_archive rename replace symlink
	link extractall extract urlretrieve download cached_download to_csv to_parquet to_json to_pickle to_excel
	to_feather to_hdf to_sql to_netcdf write_csv write_parquet write_json savetxt save savez savez_compressed dump
	save_model save_pretrained save_weights imwrite imsave savefig sink_parquet sink_csv write_image
`)

// writes gives the literal paths that a statement writes when it is executed, without those of functions that it calls.
func (w *work) writes(s *stmt) []string {
	var out []string
	w.written(s, func(n *syntax.Node) {
		n.Walk(func(c *syntax.Node) bool {
			if c.Kind == "call" && importedBy(c) != "" {
				return false
			}
			if c.Kind == "string" {
				if text, ok := literal(c.Text()); ok && text != "" && len(text) < 4096 && !strings.Contains(text,
					"\n") {
					out = append(out, path.Clean(filepath.ToSlash(text)))
				}
			}
			return true
		})
	})
	return out
}

// writesTo gives the names of paths that a statement writes: P of P = Path("a.txt") or P = "a.txt".
func (w *work) writesTo(s *stmt) []*value {
	var out []*value
	w.written(s, func(n *syntax.Node) {
		n.Walk(func(c *syntax.Node) bool {
			if c.Kind == "identifier" {
				for _, v := range s.uses[c.Text()] {
					if a := v.stmt.assigned(); a != nil && (a.Kind == "string" || a.Kind == "binary_operator" ||
						a.Kind == "call" && lastName(a.Child("function")) == "Path") && find(a, "string") != nil {
						out = append(out, v)
					}
				}
			}
			return true
		})
	})
	return out
}

// written visits the parts of a statement that say where it writes to.
func (w *work) written(s *stmt, visit func(*syntax.Node)) {
	if s.node == nil || isDefinition(s.node) {
		return
	}
	add := func(n *syntax.Node) {
		if n != nil {
			visit(n)
		}
	}
	s.node.Walk(func(n *syntax.Node) bool {
		if n.Kind == "lambda" || isDefinition(n) {
			return false
		}
		if n.Kind != "call" {
			return true
		}
		f, args := n.Child("function"), n.Child("arguments")
		switch name := lastName(f); {
		case name == "open" && opensToWrite(n):
			add(n)
		case name == "write_text" || name == "write_bytes":
			add(f)
		case writers.has(name) && args != nil:
			from := 0
			switch { // what comes first is read
			case strings.HasPrefix(name, "copy") || name == "move" || name == "unpack_archive" || name == "urlretrieve":
				from = 1
			case !strings.HasPrefix(name, "extract"):
				add(f)
			}
			for i, a := range args.Children {
				if i >= from {
					add(a)
				}
			}
		}
		return true
	})
}

// opensToWrite says that a call of open(…) has a mode that makes or changes the file.
func opensToWrite(call *syntax.Node) bool {
	args := call.Child("arguments")
	if args == nil {
		return false
	}
	return slices.ContainsFunc(args.Children, func(a *syntax.Node) bool {
		if a.Kind == "keyword_argument" {
			if k := a.Child("name"); k == nil || k.Text() != "mode" {
				return false
			}
			a = a.Child("value")
		}
		if a == nil || a.Kind != "string" {
			return false
		}
		mode, _ := literal(a.Text())
		return len(mode) < 5 && strings.ContainsAny(mode, "wax") && strings.Trim(mode, "waxrbt+") == ""
	})
}

// mention is a literal path that kept code mentions.
type mention struct {
	path string
	stmt *stmt
	line int
}

// mentions gives the literal texts of kept statements that may be paths, but for those that they only write.
func (w *work) mentions() []mention {
	var out []mention
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok || s.node == nil {
			continue
		}
		written := w.writes(s)
		contents := map[int]bool{} // of a file that is written
		s.node.Walk(func(n *syntax.Node) bool {
			args := n.Child("arguments")
			if n.Kind == "call" && args != nil && strings.HasPrefix(lastName(n.Child("function")), "write") {
				args.Walk(func(c *syntax.Node) bool { contents[c.Start] = true; return true })
			}
			return true
		})
		for _, n := range s.e.strings {
			text, ok := literal(n.Text())
			if !ok || contents[n.Start] || text == "" || len(text) > 4096 || strings.ContainsAny(text, "\n"+
				"\x00") || strings.Contains(text, "://") {
				continue
			}
			if p := path.Clean(filepath.ToSlash(text)); p != "." && !slices.Contains(written, p) {
				out = append(out, mention{p, s, n.Row + 1})
			}
		}
	}
	return out
}

// needFiles keeps the statements that write what the program reads or imports, where the notebook's own text says so.
func (w *work) needFiles() {
	if w.doc.Kind == session.Live {
		return
	}
	mentions := w.mentions()
	imports := w.imported()
	for _, s := range w.stmts {
		if _, kept := w.kept[s]; kept || s.skip {
			continue
		}
		for _, v := range w.writesTo(s) {
			if text, ok := literal(v.stmt.assigned().Text()); w.kept[v.stmt] != nil && (!ok || !w.exists(text)) {
				w.include(s, "writes what "+v.name+" names")
			}
		}
		for _, p := range w.writes(s) {
			magic := w.isWrittenByMagic(s)
			if !magic && w.exists(p) {
				continue
			}
			if i := slices.IndexFunc(mentions, func(m mention) bool { return m.reads(p) }); i >= 0 {
				w.include(s, "writes "+p+", which "+mentions[i].stmt.name()+" names")
			} else if magic && slices.ContainsFunc(modulesIn(p), func(m string) bool {
				return slices.Contains(imports, topOf(m))
			}) {
				w.include(s, "writes "+p+", which the program imports")
			}
		}
	}
}

// reads says that who mentions the path may read the file or folder that is written: itself, what is in it, or all that
// is in a folder.
func (m mention) reads(written string) bool {
	matches, err := path.Match(m.path, written)
	return m.path == written || below(m.path, written) || below(written, m.path) || err == nil && matches
}

func below(file, folder string) bool { return strings.HasPrefix(file, folder+"/") }

// exists says that a path is there now, beside the notebook.
func (w *work) exists(p string) bool {
	if rest, ok := strings.CutPrefix(p, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			p = filepath.Join(home, rest)
		}
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(w.doc.Cwd, p)
	}
	_, err := os.Stat(p)
	return err == nil
}

// isWrittenByMagic says that a statement is what %%writefile means.
func (w *work) isWrittenByMagic(s *stmt) bool {
	return len(s.cell.stmts) == 1 && slices.ContainsFunc(s.cell.code.Magics, func(m ipython.Magic) bool {
		return m.Kind == ipython.Cell && (m.Name == "writefile" || m.Name == "file")
	})
}

// modulesIn gives the modules that a file may be, from whichever of its folders it is imported.
func modulesIn(file string) []string {
	name, ok := strings.CutSuffix(strings.TrimPrefix(file, "/"), ".py")
	if !ok {
		return nil
	}
	name = strings.TrimSuffix(name, "/__init__")
	parts := strings.Split(name, "/")
	var out []string
	for i := range parts {
		if m := strings.Join(parts[i:], "."); isIdentifier(strings.ReplaceAll(m, ".", "_")) {
			out = append(out, m)
		}
	}
	return out
}

// writtenModules gives the modules whose text stands in cells with %%writefile: what they hold in the end.
func (w *work) writtenModules() map[string]session.Module {
	out := map[string]session.Module{}
	if w.doc.Kind == session.Live {
		return out
	}
	for _, c := range w.cells {
		for _, s := range c.stmts {
			if !w.isWrittenByMagic(s) {
				continue
			}
			call := s.node.Of("call")
			written := w.writes(s)
			if call == nil || len(written) == 0 {
				continue
			}
			var body string
			if args := call.Child("arguments"); args != nil && len(args.Children) > 0 {
				body = unquoted(args.Children[0].Text())
			}
			p := written[0]
			for _, name := range modulesIn(p) {
				m := session.Module{
					Name: name, File: filepath.Join(w.doc.Cwd, p),
					Package: path.Base(p) == "__init__.py",
				}
				if lastName(call.Child("function")) == "write" { // -a
					m.Source = slices.Clone(out[name].Source)
				}
				m.Source = append(m.Source, body...)
				out[name] = m
			}
		}
	}
	return out
}

// unquoted is the text of a literal that package ipython wrote.
func unquoted(text string) string {
	if len(text) < 2 {
		return ""
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\'`, "'", `\"`, `"`, `\x00`, "\x00").
		Replace(text[1 : len(text)-1])
}

// commandLine is a line for the shell that a program leaves out.
type commandLine struct {
	cell *cell
	line int
	text string // as typed
}

// commands gives the commands for the shell at the top level of cells: nobody sees what they do.
func (c *cell) commands() []commandLine {
	var out []commandLine
	for _, m := range c.code.Magics {
		switch {
		case m.Kind == ipython.Shell && m.Target == "":
			out = append(out, commandLine{c, m.Line, m.Args})
		case m.Kind == ipython.Line && slices.Contains([]string{"cp", "mv", "mkdir", "sx", "system"}, m.Name) &&
			m.Target == "":
			out = append(out, commandLine{c, m.Line, strings.TrimSpace(m.Name + " " + m.Args)})
		case m.Kind == ipython.Cell && slices.Contains([]string{"bash", "sh", "script", "system", "!"}, m.Name) &&
			m.Target == "":
			lines := strings.Split(c.Source, "\n")
			for i := m.Line; i < len(lines); i++ {
				if l := strings.TrimSpace(lines[i]); l != "" && l[0] != '#' {
					out = append(out, commandLine{c, i + 1, l})
				}
			}
		}
	}
	return out
}

var (
	commandWords = lazyregexp.New(`"[^"]*"|'[^']*'|[^\s;&|<>()]+`)
	// extractors are commands whose files have names that the command does not show.
	extractors = lazyregexp.New(`\b(unzip|tar|gunzip|7z|unrar|kaggle|gsutil|aws|gdown|git|rsync|scp|make|dvc)\b`)
)

// makes gives the names of files and folders that a command may make.
func makes(text string) map[string]bool {
	out := map[string]bool{}
	for _, word := range commandWords.FindAllString(text, -1) {
		word = strings.Trim(word, `"'`)
		if _, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "--") {
			word = value
		}
		word, _, _ = strings.Cut(strings.TrimPrefix(word, "file://"), "?")
		if word == "" || word[0] == '-' {
			continue
		}
		p := path.Clean(word)
		out[p] = true
		base := path.Base(p)
		out[base] = true
		for _, suffix := range []string{".git", ".zip", ".tar.gz", ".tgz", ".tar", ".gz", ".7z", ".tar.bz2", ".rar"} {
			if stem, ok := strings.CutSuffix(base, suffix); ok && stem != "" {
				out[stem] = true
			}
		}
	}
	return out
}

// commandsLeftOut notes the commands that a saved notebook leaves out although the program needs what they make: a
// path that it names, that nothing of it writes, and that is not there.
func (w *work) commandsLeftOut() error {
	if w.doc.Kind == session.Live || w.doc.Cwd == "" {
		return nil
	}
	var lines []commandLine
	for _, c := range w.cells {
		for _, l := range c.commands() {
			if !ipython.Installs(l.text) {
				lines = append(lines, l)
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	var written []string
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; ok {
			written = append(written, w.writes(s)...)
		}
	}
	noted := map[commandLine]bool{}
	for _, m := range w.mentions() {
		first, _, _ := strings.Cut(m.path, "/")
		if w.exists(m.path) || slices.ContainsFunc(written, func(p string) bool {
			return p == m.path || below(m.path, p)
		}) {
			continue
		}
		var by *commandLine
		for i := range slices.Backward(lines) {
			made := makes(lines[i].text)
			if made[m.path] || made[path.Base(m.path)] || strings.Contains(m.path, "/") && made[first] {
				by = &lines[i]
				break
			}
		}
		if by == nil && maybePath(m.path) && path.Ext(m.path) != "" && isIdentifier(path.Ext(m.path)[1:]) {
			for i := range slices.Backward(lines) {
				if extractors.MatchString(lines[i].text) {
					by = &lines[i]
					break
				}
			}
		}
		if by == nil || noted[*by] {
			continue
		}
		noted[*by] = true
		w.note(NoteLeftOut, by.cell.Seq, by.line,
			"Run that command before, or write it as Python: subprocess.run(…, shell=True).",
			"!%s was left out (%s), since what a command does cannot be seen, and %s names %s (%s), which is not there",
			prose.Shorten(by.text, 61), w.position(by.cell, by.line), m.stmt.name(), m.path,
			w.position(m.stmt.cell, m.line))
	}
	return nil
}
