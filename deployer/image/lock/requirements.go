package lock

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// reader reads a requirements.txt, whose format is pip's: there is no standard
// (https://pip.pypa.io/en/stable/reference/requirements-file-format). What uv would pass over in silence is refused.
type reader struct {
	file                      *File
	requirements, constraints strings.Builder
	within                    []string // files that include the one that is read, and that one
	constraint                bool     // it is included by --constraint
	line                      int      // that is read
}

// maxSaid bounds what is said of a line, in characters: it may be as long as its file.
const maxSaid = 300

// maxWithin bounds how deep files include each other.
const maxWithin = 16

// read reads the text of a file, and those that it includes.
func (r *reader) read(file, text string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return unusable("%s is no text in UTF-8", file).With(kinds)
	}
	if slices.Contains(r.within, file) || len(r.within) == maxWithin {
		return unusable("%s is included by itself, or too deep", file).With("Take the line out that includes it.")
	}
	outer := r.line
	r.within = append(r.within, file)
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i := 0; i < len(lines); {
		r.line = i + 1
		var whole strings.Builder // with the lines on which it goes on
		for on := true; on && i < len(lines); i++ {
			var part string
			part, on = strings.CutSuffix(strings.TrimSuffix(lines[i], "\r"), `\`)
			whole.WriteString(part + " ")
			on = on && !strings.HasPrefix(strings.TrimSpace(part), "#") // a comment ends with its line
		}
		line := strings.Join(strings.Fields(whole.String()), " ") // of any blanks that Unicode has, before comments
		if err := r.one(strings.TrimSpace(comment.ReplaceAllString(line, ""))); err != nil {
			return err
		}
	}
	r.within, r.line = r.within[:len(r.within)-1], outer
	return nil
}

var comment = regexp.MustCompile(`(^| )#.*$`)

// path is the file that is read.
func (r *reader) path() string { return r.within[len(r.within)-1] }

func (r *reader) wrong(format string, args ...any) *usererror.Error {
	said := prose.Shorten(withoutLogin(fmt.Sprintf(format, args...)), maxSaid)
	return unusable("%s, line %d: %s", r.path(), r.line, said)
}

// one reads a line without comments, in which words are parted by single blanks.
func (r *reader) one(line string) error {
	switch {
	case line == "":
		return nil
	case strings.ContainsFunc(line, unicode.IsControl):
		return r.wrong("%q has a character that nobody sees", line).With("Take it out of the file.")
	case strings.Contains(line, `\`): // at the end, whoever reads it next would have the next line go on behind it
		return r.wrong("%s has a backslash that is not at its end", line).With("Take it out of the file.")
	case strings.HasPrefix(line, "-"):
		return r.option(line)
	}
	return r.requirement(line)
}

// option reads a line that begins with one, such as "-r FILE", "-rFILE" or "--requirement=FILE".
func (r *reader) option(line string) error {
	m := option.FindStringSubmatch(line)
	if m == nil {
		return r.wrong("%q is no option", line).With("Take it out of the file.")
	}
	name, value := m[1], strings.Trim(m[2], `"'`)
	switch name {
	case "-r", "--requirement", "-c", "--constraint":
		return r.include(value, r.constraint || strings.HasPrefix(name, "-c") || name == "--constraint")
	case "-e", "--editable":
		return r.wrong("%s is to be edited, and lies on this machine alone", value).With(byFiles, "it", "it")
	case "-i", "--index-url":
		return r.index("--index-url", value)
	case "--extra-index-url":
		return r.index(name, value)
	case "-f", "--find-links":
		return r.index("--find-links", value)
	case "--no-index":
		r.requirements.WriteString("--no-index\n")
		return nil
	case "--require-hashes":
		r.allow("", nil)
		return nil
	case "--only-binary", "--prefer-binary": // nothing else is taken
		return nil
	case "--no-binary":
		return r.wrong("%s asks for packages to be built, and images are made of wheels", line).
			With("Take the line out, or name an image that has them: --image IMAGE.")
	}
	return r.wrong("%s is an option that cannot be kept to", name).
		With("Take it out of the file, if the packages can be found without it.")
}

var option = regexp.MustCompile(`^(--[a-z-]+|-[a-zA-Z])[ =]?(.*)$`)

// place is an address where packages are; ${NAME} stands for what a variable has.
var place = regexp.MustCompile(`^(https?://|file://|\$\{[A-Z0-9_]+\})\S*$`)

// index takes over an option that says where packages are looked for. Files are read from another folder, so that they
// need their whole path.
func (r *reader) index(name, value string) error {
	if value == "" {
		return r.wrong("%s needs an address", name).With("Write it behind the option.")
	}
	if !place.MatchString(value) {
		if name != "--find-links" || strings.Contains(value, "://") {
			return r.wrong("%s names %s, which is no address", name, value).With("It is like https://HOST/simple.")
		}
		whole, err := filepath.Abs(filepath.Join(filepath.Dir(r.path()), value))
		if filepath.IsAbs(value) {
			whole, err = value, nil
		}
		if err != nil {
			return fmt.Errorf("find the folder %s: %w", value, err)
		}
		value = (&url.URL{Scheme: "file", Path: whole}).String()
	}
	if !r.constraint { // pip reads options of these as well; uv does not
		r.requirements.WriteString(name + " " + value + "\n")
		return nil
	}
	return r.wrong("%s has no place in a file of constraints", name).With("Write it into the file that includes it.")
}

// include reads another file, whose path is relative to that of this one.
func (r *reader) include(value string, constraint bool) error {
	if value == "" {
		return r.wrong("no file stands behind the option").With("Write its name there.")
	}
	if strings.Contains(value, "://") {
		return r.wrong("%s is not on this machine", value).With("Save it beside this file, and include it from there.")
	}
	file := value
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(r.path()), file)
	}
	text, err := readFile(file)
	if err != nil {
		return err
	}
	outer := r.constraint
	r.constraint = constraint
	defer func() { r.constraint = outer }()
	return r.read(file, string(text))
}

var (
	digestOf = regexp.MustCompile(`^(sha256|sha384|sha512|md5|sha1|sha224):[0-9a-f]+$`)
	// requirement is one that names a package, with its extras, and the sign behind it.
	requirement = regexp.MustCompile(
		`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?) ?(\[[^\]]*\])? ?(?:([@<>=!~;(])(.*))?$`)
	source  = regexp.MustCompile(`^(git|hg|svn|bzr)\+`)
	address = regexp.MustCompile(`^https?://`)
	archive = regexp.MustCompile(`\.(whl|zip|tar\.gz|tar\.bz2|tgz)$`)
)

// requirement reads a line that asks for a package.
func (r *reader) requirement(line string) error {
	text, options, _ := strings.Cut(line, " --")
	hashes, err := r.hashes(options)
	if err != nil {
		return err
	}
	if source.MatchString(text) {
		return r.wrong("%s is fetched from a repository of source, and images are made of wheels", text).
			With(bySource, "it", "it")
	}
	if address.MatchString(text) {
		at, _, _ := strings.Cut(text, " ")
		r.add(ofFile(at), text, hashes)
		return nil
	}
	m := requirement.FindStringSubmatch(text)
	switch {
	case m == nil && strings.HasPrefix(text, ".") || m == nil && strings.Contains(text, "/"),
		(m == nil || m[3] == "") && archive.MatchString(text):
		return r.wrong("%s is on this machine alone", text).With(byFiles, "it", "it")
	case m == nil:
		return r.wrong("%q is no requirement", text).With("It is like NAME, NAME==VERSION or NAME @ URL.")
	case m[3] != "@" || address.MatchString(strings.TrimSpace(m[4])):
		r.add(distribution.Normalize(m[1]), text, hashes)
		return nil
	case source.MatchString(strings.TrimSpace(m[4])):
		return r.wrong("%s is fetched from a repository of source, and images are made of wheels", m[1]).
			With(bySource, "it", "it")
	}
	return r.wrong("%s comes from %s, which is on this machine alone", m[1], strings.TrimSpace(m[4])).
		With(byFiles, "it", "it")
}

// hashes reads the options of a requirement, without the dashes of the first.
func (r *reader) hashes(options string) ([]string, error) {
	if options == "" {
		return nil, nil
	}
	var all []string
	usable := false
	words := strings.Fields("--" + options)
	for i := 0; i < len(words); i++ {
		name, value, joined := strings.Cut(words[i], "=")
		if name != "--hash" {
			return nil, r.wrong("%s is an option that cannot be kept to", name).
				With("Take it out of the file: images are made of wheels, which are not built.")
		}
		if !joined && i+1 < len(words) {
			i++
			value = words[i]
		}
		value = strings.ToLower(strings.Trim(value, `"'`))
		if !digestOf.MatchString(value) {
			return nil, r.wrong("%q is no digest", value).With("It is like --hash=sha256:DIGEST.")
		}
		usable = usable || strings.HasPrefix(value, "sha256:")
		all = append(all, value)
	}
	if !usable {
		return nil, r.wrong("no digest is one of sha256, by which files are compared").
			With("Add it: --hash=sha256:DIGEST.")
	}
	return all, nil
}

func (r *reader) add(name, text string, hashes []string) {
	to := &r.requirements
	if r.constraint {
		to = &r.constraints
	}
	to.WriteString(text + "\n")
	if hashes != nil {
		r.allow(name, hashes)
	}
}

// allow has only these files taken for a package, and none for one of which nothing is said.
func (r *reader) allow(name string, hashes []string) {
	if r.file.Hashes == nil {
		r.file.Hashes = map[string][]string{}
	}
	if name != "" {
		r.file.Hashes[name] = append(r.file.Hashes[name], hashes...)
	}
}

// ofFile is the name of the package that a file at an address has, "" if that does not say it.
func ofFile(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(path.Base(u.Path), "-")
	return distribution.Normalize(name)
}

var login = regexp.MustCompile(`://[^/@\s]*@`)

// withoutLogin takes names and passwords out of the addresses in a text that is shown.
func withoutLogin(text string) string { return login.ReplaceAllString(text, "://") }
