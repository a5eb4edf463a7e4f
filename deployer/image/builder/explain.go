package builder

import (
	"cmp"
	"errors"
	"regexp"
	"strings"

	"github.com/metaml/metaml/internal/usererror"
)

// explain puts into words why a builder gave nothing.
func (b *Builder) explain(f *Failure) error {
	say := func(code usererror.Code, text, hint string) error {
		return usererror.Wrap(f, code, text, hint)
	}
	if f.Unreachable {
		return say(usererror.CodeBuilder, "builder "+b.Address.URL+" does not answer: "+reason(f.Message),
			"Check the address and that it runs; then the same command goes on with what is done.")
	}
	for _, known := range causes {
		if m := known.in.FindStringSubmatch(f.Log + "\n" + f.Message); m != nil {
			text := known.text
			if len(m) > 1 {
				text = strings.ReplaceAll(text, "NAME", m[1])
			}
			return say(known.code, text, known.hint)
		}
	}
	if f.Step == StepPush || f.Step == StepBase || f.Step == "" {
		return say(usererror.CodeBuilder, "builder "+b.Address.URL+" cannot make the image: "+reason(f.Message),
			"")
	}
	said := cmp.Or(lastWords(f.Log), reason(f.Message))
	return say(usererror.CodeBuilder, "the builder cannot "+f.Step+": "+said, "")
}

// causes are reasons that people can do something about, by what a log has then. NAME is the first group.
var causes = []struct {
	in         *regexp.Regexp
	code       usererror.Code
	text, hint string
}{
	{
		regexp.MustCompile(`E: Unable to locate package (\S+)`), usererror.CodeOption,
		"--apt NAME: the base image's system has no such package",
		"See packages.debian.org for its name there.",
	},
	{
		regexp.MustCompile(`E: Package '([^']+)' has no installation candidate`), usererror.CodeOption,
		"--apt NAME: the base image's system has no such package",
		"See packages.debian.org for its name there.",
	},
	{
		regexp.MustCompile(`No such file or directory: '?(apt-get)'?`), usererror.CodeOption,
		"--apt needs a base image with NAME, and this one has none",
		"Name one of Debian's or Ubuntu's with --base IMAGE.",
	},
	{
		regexp.MustCompile(`(?i)No space left on device`), usererror.CodeDiskFull,
		"the builder's disk is full", "Make room there, as with buildctl prune.",
	},
	{
		regexp.MustCompile(`(?i)hash mismatch for .?([\w.+-]+)`), usererror.CodeIndex,
		"a package is not what the index said: the digest of NAME differs",
		"Check the package index, and any proxy before it.",
	},
	{
		regexp.MustCompile(`(?:error: command '|unable to execute '|: )` +
			`((?:[\w/.-]*-)?(?:gcc|g\+\+|cc|c\+\+|clang|cmake|gfortran|make))'?:? ?` +
			`(?:failed: )?(?:No such file or directory|not found|command not found)`),
		usererror.CodeResolve, "a package is compiled for the image, and NAME is missing there",
		"Add --apt build-essential, and what else its compilation needs.",
	},
	{
		regexp.MustCompile(`No such file or directory: ` +
			`'((?:[\w/.-]*-)?(?:gcc|g\+\+|cc|c\+\+|clang|cmake|gfortran|make))'`),
		usererror.CodeResolve, "a package is compiled for the image, and NAME is missing there",
		"Add --apt build-essential, and what else its compilation needs.",
	},
	{
		regexp.MustCompile(`fatal error: ([\w/.+-]+\.h): No such file or directory`), usererror.CodeResolve,
		"a package is compiled for the image, and the file NAME is missing there",
		"Add the package of the system that brings it: --apt PACKAGE, mostly one whose name ends in -dev.",
	},
	{
		regexp.MustCompile(`Temporary failure (?:in name resolution|resolving)|Could not resolve|dns error|` +
			`Failed to fetch:? .?https?://`),
		usererror.CodeIndex, "the builder does not reach the network that packages come from",
		"Check its network, and the variables HTTPS_PROXY and UV_INDEX here, which it gets.",
	},
	{
		regexp.MustCompile(`not found: manifest unknown|insufficient_scope|401 Unauthorized|403 Forbidden`),
		usererror.CodeRegistry,
		"the builder may not read the base image, or not write to the repository",
		"Log in with metaml login, whose logins it gets.",
	},
}

// reason is the innermost of what Go programs wrap.
func reason(message string) string {
	message = strings.TrimSpace(message)
	if at := strings.LastIndex(message, "desc = "); at >= 0 {
		message = message[at+len("desc = "):]
	}
	return strings.Trim(message, `"`)
}

// lastWords is the last line of a log that says something.
func lastWords(log string) string {
	var last string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if text, is := strings.CutPrefix(line, "error: "); is {
			return text
		}
		if text, is := strings.CutPrefix(line, "E: "); is {
			return text
		}
		if line != "" {
			last = line
		}
	}
	return strings.TrimSuffix(last, ".")
}

// Error is what the builder said.
func (f *Failure) Error() string { return f.Message }

// noExporter is what a builder says that can send no images: Docker Engine's own, unless it keeps images in containerd.
var noExporter = regexp.MustCompile(`exporter "\w+" could not be found`)

// SendsNone reports whether a build failed since the builder can send no images. It can give the files of one.
func SendsNone(err error) bool {
	f, is := errors.AsType[*Failure](err)
	return is && noExporter.MatchString(f.Message)
}
