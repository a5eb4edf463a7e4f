package settings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Given is one value that somebody wrote, before it is resolved.
type Given struct {
	Def   Def
	Value string
}

// ErrHelp is returned by [ParseLine] when the line has --help.
var ErrHelp = errors.New("help was requested")

// ParseLine reads what stands after %%train or %%serve: --name value, --name=value, --flag and --no-flag, quoted as in
// a shell.
func ParseLine(kind run.Kind, line string) ([]Given, error) {
	words, err := split(line)
	if err != nil {
		return nil, refuse("%s", err)
	}
	var given []Given
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "-h" || word == "--help" || word == "?" {
			return nil, ErrHelp
		}
		if !strings.HasPrefix(word, "--") || word == "--" {
			return nil, strayWord(kind, words, i)
		}
		name, value, hasValue := strings.Cut(word[2:], "=")
		def, negated, err := find(kind, name)
		if err != nil {
			return nil, err
		}
		switch {
		case def.Type == Bool && !hasValue:
			value = "true"
			if negated {
				value = "false"
			}
		case negated:
			return nil, refuse("--%s takes no value", name)
		case !hasValue:
			if i+1 >= len(words) || strings.HasPrefix(words[i+1], "--") {
				return nil, refuse("--%s needs a value: --%s %s", def.Flag(), def.Flag(), def.Value)
			}
			i++
			value = words[i]
		}
		if err := def.check(value); err != nil {
			return nil, refuse("--%s %s", def.Flag(), err)
		}
		given = appendGiven(given, Given{Def: def, Value: value})
	}
	for _, g := range given {
		if err := g.Def.check(g.Value); err != nil { // each value was right by itself
			return nil, refuse("--%s %s", g.Def.Flag(), err)
		}
	}
	return given, nil
}

// appendGiven adds g; a repeated flag of a list (--with, --cors) adds to it, any other repeated setting replaces the
// earlier value.
func appendGiven(given []Given, g Given) []Given {
	for i := range given {
		if given[i].Def.Name == g.Def.Name {
			given[i].Value = g.Def.Add(given[i].Value, g.Value)
			return given
		}
	}
	return append(given, g)
}

// find looks a flag up among those of kind; a boolean one may be negated by "no-".
func find(kind run.Kind, name string) (def Def, negated bool, err error) {
	defs := Of(kind)
	for _, d := range defs {
		if name == d.Flag() || name == d.Name {
			return d, false, nil
		}
		if d.Type == Bool && (name == "no-"+d.Flag() || name == "no_"+d.Name) {
			return d, true, nil
		}
	}
	e := refuse("there is no option --%s", name)
	if n := nearest(name, defs); n != "" {
		e.Hint = fmt.Sprintf("Did you mean --%s?", n)
	} else {
		e.Hint = fmt.Sprintf("metaml settings --kind %s lists them all.", kind)
	}
	return Def{}, false, e
}

func strayWord(kind run.Kind, words []string, i int) error {
	word := words[i]
	e := refuse("%q is not an option", word)
	if n := nearest(strings.TrimLeft(word, "-"), Of(kind)); n != "" {
		e.Hint = fmt.Sprintf("Did you mean --%s?", n)
	} else if i > 0 {
		e.Text += fmt.Sprintf(" and %s takes no second value", words[i-1])
	}
	return e
}

func refuse(format string, args ...any) *usererror.Error {
	return &usererror.Error{Code: usererror.CodeOption, Text: fmt.Sprintf(format, args...)}
}

// split cuts a line into words as a POSIX shell does, without any expansion.
func split(line string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune
		escape bool
	)
	for _, r := range line {
		switch {
		case escape:
			word.WriteRune(r)
			escape = false
		case r == '\\' && quote != '\'':
			escape, inWord = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case r == '#' && !inWord:
			return words, nil // a comment, as people write after an option
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote (%c) is not closed", quote)
	}
	if escape {
		return nil, fmt.Errorf("the line ends with a backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// Give checks one setting that was given by name, as a command line's flag is.
func Give(d Def, value string) (Given, error) {
	if err := d.check(value); err != nil {
		return Given{}, refuse("--%s %s", d.Flag(), err)
	}
	return Given{Def: d, Value: value}, nil
}
