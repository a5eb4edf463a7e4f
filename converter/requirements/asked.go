package requirements

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// request is what one word of a line asks pip for.
type request struct {
	text string // PEP 508, or an address without a name
	from Asked
}

// requests is what the notebook asks pip for.
type requests struct {
	all     []request
	options []string // lines of requirements.txt
	indexes []index
	notes   []string
}

// readAsked takes apart what the notebook asks installers for. What cannot be had from a package index is noted.
func readAsked(all []Asked) *requests {
	var r requests
	for _, a := range all {
		text := withoutLogin(strings.Join(strings.Fields(a.Text), " "))
		switch a.Kind {
		case Pip:
			r.pip(a)
		case Inline:
			if text := r.word(a.Text, a); text != "" {
				r.all = append(r.all, request{text, a})
			}
		case Conda:
			r.remark("conda install %s (%s)", text, a.place())
		case Apt:
			r.remark("apt-get install %s (%s)", text, a.place())
		default:
			r.remark("%s %s (%s)", a.Kind, text, a.place())
		}
	}
	return &r
}

func (r *requests) remark(format string, args ...any) {
	note := strings.ReplaceAll(fmt.Sprintf(format, args...), " ()", "")
	if !slices.Contains(r.notes, note) {
		r.notes = append(r.notes, note)
	}
}

// valued are the options of `pip install` that have a value. https://pip.pypa.io/en/stable/cli/pip_install
var valued = []string{
	"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-i", "--index-url", "--extra-index-url", "-f",
	"--find-links", "-t", "--target", "--prefix", "--root", "--src", "--platform", "--python-version",
	"--implementation", "--abi", "--trusted-host", "--proxy", "--timeout", "--retries", "--cert", "--client-cert",
	"--cache-dir", "--log", "--progress-bar", "--upgrade-strategy", "-C", "--config-settings", "--global-option",
	"--build-option", "--no-binary", "--only-binary", "--exists-action", "--root-user-action", "--python",
	"--use-feature", "--use-deprecated", "--report", "--group", "--keyring-provider",
}

// pip reads the arguments of `pip install`.
func (r *requests) pip(a Asked) {
	words := split(a.Text)
	if len(words) > 0 && words[0] == "install" {
		words = words[1:]
	}
	var named []string // by this line
	var places []string
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") {
			if text := r.word(word, a); text != "" {
				r.all = append(r.all, request{text, a})
				named = append(named, nameOf(text))
			}
			continue
		}
		option, value, joined := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "--") && len(word) > 2 && slices.Contains(valued, word[:2]) {
			option, value, joined = word[:2], word[2:], true // -rFILE
		}
		if !joined && slices.Contains(valued, option) && i+1 < len(words) {
			i++
			value = words[i]
		}
		if place := r.option(option, value, a); place != "" {
			places = append(places, place)
		}
	}
	for _, place := range places {
		r.indexes = append(r.indexes, index{place, named})
	}
}

// option reads an option of pip, and gives the address of an index if it names one.
func (r *requests) option(option, value string, a Asked) string {
	switch option {
	case "-r", "--requirement", "-c", "--constraint":
		r.remark("pip install %s %s (%s): what the file asks for is not in here", option, withoutLogin(value),
			a.place())
	case "-e", "--editable":
		if text := r.word(value, a); text != "" {
			r.all = append(r.all, request{text, a})
		}
	case "-i", "--index-url", "--extra-index-url":
		if !address.MatchString(value) || unprintable.MatchString(value) {
			r.remark("pip install %s %s (%s): that is no address of an index", option, withoutLogin(value), a.place())
			return ""
		}
		if option == "-i" {
			option = "--index-url"
		}
		r.keep(option + " " + r.public(value, a))
		return withoutLogin(value)
	case "-f", "--find-links":
		if address.MatchString(value) && !unprintable.MatchString(value) {
			r.keep("--find-links " + r.public(value, a))
		} else {
			r.remark("pip install --find-links %s (%s): the folder is on one machine alone", value, a.place())
		}
	case "--pre":
		r.keep("--pre")
	}
	return ""
}

// keep keeps an option for requirements.txt. Of two main indexes, the later one is one more: they count for the whole
// file, and pip for one line.
func (r *requests) keep(option string) {
	if strings.HasPrefix(option, "--index-url ") {
		option = "--extra-" + option[2:]
	}
	if !slices.Contains(r.options, option) {
		r.options = append(r.options, option)
	}
}

// public is an address without a login, of which it is said that it is missing.
func (r *requests) public(value string, a Asked) string {
	without := withoutLogin(value)
	if without != value {
		r.remark("%s needs a login, which is left out (%s)", without, a.place())
	}
	return without
}

var (
	address = lazyregexp.New(`^https?://[^\s/][^\s]*$`)
	source  = lazyregexp.New(`^(git|hg|svn|bzr)\+[a-z]+://[^\s]+$`)
	// requirement is one that has a name: PEP 508.
	requirement = lazyregexp.New(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[A-Za-z0-9._, -]*\])?\s*` +
		`((?:(?:===|==|!=|~=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*|@\s*[a-z+]+://[^\s]+)\s*(;\s*[^\n]+)?$`)
	archive = lazyregexp.New(`\.(whl|zip|tar\.gz|tar\.bz2|tgz)$`)
)

// word reads what is to be installed: a requirement, an address or a path. It gives "" for what nobody else can
// install, which it notes.
func (r *requests) word(word string, a Asked) string {
	switch {
	case unprintable.MatchString(strings.ReplaceAll(word, " ", "")):
		r.remark("pip install %s (%s): that is no requirement", word, a.place())
	case strings.ContainsAny(word, "${`"):
		r.remark("pip install %s (%s): it depends on a value of the notebook", word, a.place())
	case source.MatchString(word), address.MatchString(word):
		return r.named(word, a)
	case requirement.MatchString(word):
		name, at, isAt := strings.Cut(word, "@")
		if archive.MatchString(word) && !isAt {
			r.remark("pip install %s (%s): the file is on one machine alone", word, a.place())
			return ""
		}
		if isAt {
			return strings.TrimSpace(name) + " @ " + r.public(strings.TrimSpace(at), a)
		}
		return word
	case strings.ContainsAny(word, `/\`), strings.HasPrefix(word, "."):
		r.remark("pip install %s (%s): the folder is on one machine alone", word, a.place())
	default:
		r.remark("pip install %s (%s): that is no requirement", word, a.place())
	}
	return ""
}

// named puts the name that an address gives in front of it.
func (r *requests) named(word string, a Asked) string {
	word = r.public(word, a)
	base, fragment, _ := strings.Cut(word, "#")
	var kept []string
	name := ""
	for part := range strings.SplitSeq(fragment, "&") {
		if egg, ok := strings.CutPrefix(part, "egg="); ok {
			name = egg
		} else if part != "" {
			kept = append(kept, part)
		}
	}
	if kept != nil {
		base += "#" + strings.Join(kept, "&")
	}
	if u, err := url.Parse(base); err == nil && name == "" && strings.HasSuffix(u.Path, ".whl") {
		name, _, _ = strings.Cut(path.Base(u.Path), "-")
	}
	if !distribution.IsName(name) {
		return base
	}
	return name + " @ " + base
}

// nameOf is the normalized name of a requirement; "" where an address has none.
func nameOf(text string) string {
	if m := requirement.FindStringSubmatch(text); m != nil {
		return distribution.Normalize(m[1])
	}
	return ""
}

var (
	loginHTTP = lazyregexp.New(`(https?://)[^/@\s]*@`)
	password  = lazyregexp.New(`(://[^/@:\s]*):[^/@\s]*@`)
)

// withoutLogin takes names and passwords out of the addresses in a text; the user of ssh://git@HOST stays.
func withoutLogin(text string) string {
	return password.ReplaceAllString(loginHTTP.ReplaceAllString(text, "$1"), "$1@")
}

// split parts words as a shell does, up to the end of the command. `pip install x>=1` was meant as a version, though a
// shell takes it for a file.
func split(text string) []string {
	var words []string
	var word strings.Builder
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		rest := text[i+1:]
		switch {
		case c == '\'' || c == '"':
			inner, _, closed := strings.Cut(rest, string(c))
			word.WriteString(inner)
			begun = true
			i += len(inner)
			if closed {
				i++
			}
		case c == '\\' && rest != "":
			if rest[0] != '\n' {
				word.WriteByte(rest[0])
				begun = true
			}
			i++
		case c == ' ' || c == '\t':
			end()
		case (c == '<' || c == '>') && begun && version.MatchString(rest) && !digits.MatchString(word.String()):
			word.WriteByte(c)
		case strings.IndexByte("\n\r;|&<>", c) >= 0, c == '#' && !begun:
			if digits.MatchString(word.String()) && (c == '<' || c == '>') {
				begun = false // the 2 of 2>/dev/null
			}
			end()
			return words
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words
}

var (
	version = lazyregexp.New(`^=?\s*\d`)
	digits  = lazyregexp.New(`^\d+$`)
)
