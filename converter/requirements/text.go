package requirements

import (
	"fmt"
	"path"
	"strings"
	"unicode"
)

// creator is what made the files.
const creator = "metaml-nbconvert"

// from says from what the versions are, without a path of this machine.
func (s *Set) from() string {
	if s.Python == "" {
		return "from the imports and the cells that install something"
	}
	return fmt.Sprintf("from what %s %s on %s has installed", s.Implementation, s.Python, s.Platform)
}

// Requirements gives requirements.txt as pip and uv read it: first what the script itself asks for, each with its
// reason, then what that requires. What cannot be installed from it stands in comments.
func (s *Set) Requirements() string {
	var b strings.Builder
	comment(&b, "", "Made by "+creator+" "+s.from()+".")
	if s.Python == "" {
		comment(&b, "", "No interpreter was asked: what has no version is unpinned.")
	}
	for _, note := range s.Notes {
		comment(&b, "", note)
	}
	for _, option := range s.options {
		b.WriteString(option + "\n")
	}
	for i := range s.Packages {
		p := &s.Packages[i]
		if i == 0 || p.Direct != s.Packages[i-1].Direct {
			b.WriteString("\n")
		}
		why := strings.Join(p.Because, "; ")
		if !p.Direct {
			why = "via " + strings.Join(p.Via, ", ")
		}
		if p.Source != nil && p.Source.local() {
			comment(&b, "", fmt.Sprintf("%s is not in here: %s", p.titled(), p.Source.origin()))
			comment(&b, "    ", why)
			continue
		}
		b.WriteString(p.requirement())
		if p.Marker != "" {
			b.WriteString(" ; " + p.Marker)
		}
		b.WriteString("\n")
		comment(&b, "    ", why)
		if !p.Pinned() {
			comment(&b, "    ", "unpinned")
		}
		if p.Conda {
			comment(&b, "    ", "conda installed it")
		}
	}
	return b.String()
}

func (p *Package) titled() string { return strings.TrimSpace(p.Name + " " + p.Version) }

// origin says where a package is that nobody else has. The last name of its path is enough to know it by.
func (s *Source) origin() string {
	name := path.Base(s.path(""))
	switch {
	case s.Editable:
		return fmt.Sprintf("it is edited in the folder %q, which nobody else has", name)
	case s.Directory:
		return fmt.Sprintf("it was installed from the folder %q, which nobody else has", name)
	}
	return fmt.Sprintf("it was installed from the file %q, which nobody else has", name)
}

// comment writes a text as a comment, in lines of up to 110 characters.
func comment(b *strings.Builder, indent, text string) {
	const width = 110
	line := indent + "#"
	blank := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	for word := range strings.FieldsFuncSeq(text, blank) {
		if len(line)+1+len(word) > width && len(line) > len(indent)+1 {
			b.WriteString(line + "\n")
			line = indent + "#  "
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
