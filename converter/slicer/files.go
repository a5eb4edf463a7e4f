package slicer

import (
	"os"
	"path/filepath"
	"strings"
)

// maxFiles bounds the list of mentioned files.
const maxFiles = 200

// files finds string literals that name existing local files.
func (w *work) files() error {
	if w.doc.Cwd == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok {
			continue
		}
		for _, n := range s.e.strings {
			text, ok := literal(n.Text())
			if !ok || seen[text] || len(seen) >= maxFiles || !maybePath(text) {
				continue
			}
			file := text
			if strings.HasPrefix(file, "~/") {
				if home, err := os.UserHomeDir(); err == nil {
					file = filepath.Join(home, file[2:])
				}
			}
			if !filepath.IsAbs(file) {
				file = filepath.Join(w.doc.Cwd, file)
			}
			info, err := os.Stat(file)
			if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
				continue
			}
			seen[text] = true
			m := FileMention{Path: text, File: file, Dir: info.IsDir(), Cell: s.cell.Seq, Line: n.Row + 1}
			if !m.Dir {
				m.Size = info.Size()
			}
			w.out.Files = append(w.out.Files, m)
		}
	}
	return nil
}

// maybePath leaves out strings that are names rather than paths: a folder called "adam" beside the notebook is no
// reason to ship it.
func maybePath(s string) bool {
	if s == "" || len(s) > 4096 || strings.ContainsAny(s, "\n\x00") || strings.Contains(s, "://") || s == "." ||
		s == ".." || s == "/" {
		return false
	}
	return strings.ContainsAny(s, "./") || filepath.Ext(s) != ""
}

// literal gives the value of a simple string literal.
func literal(text string) (string, bool) {
	i := strings.IndexAny(text, `"'`)
	if i < 0 || i > 2 {
		return "", false
	}
	prefix, body := strings.ToLower(text[:i]), text[i:]
	if strings.ContainsAny(prefix, "fbt") {
		return "", false
	}
	q := body[:1]
	if strings.HasPrefix(body, q+q+q) && len(body) >= 6 {
		body = body[3 : len(body)-3]
	} else if len(body) >= 2 {
		body = body[1 : len(body)-1]
	} else {
		return "", false
	}
	if strings.Contains(body, `\`) && !strings.Contains(prefix, "r") {
		if strings.Count(body, `\`) != 2*strings.Count(body, `\\`) {
			return "", false
		}
		body = strings.ReplaceAll(body, `\\`, `\`)
	}
	return body, true
}
