package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/lazyregexp"
)

// served are the paths that every server has.
var served = []string{"/healthz", "/readyz", "/metrics", "/openapi.json"}

// pathCharacters are those of a segment of a path (RFC 3986, section 3.3), encoded ones included.
var pathCharacters = lazyregexp.New(`^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*$`)

// checkPath reports whether text is a path at which a function can answer: one as RFC 3986 has it, in which a segment
// may have a parameter of the function in braces: /items/{id}, /v1/models/{model}:predict. The error is the rest of a
// sentence that begins with the name of the setting.
func checkPath(text string) error {
	if !strings.HasPrefix(text, "/") {
		return fmt.Errorf("takes the path of a URL, such as /predict, not %q", text)
	}
	var names []string
	segments := strings.Split(text[1:], "/")
	for i, segment := range segments {
		literal := segment
		if at, end := strings.IndexByte(segment, '{'), strings.IndexByte(segment, '}'); at >= 0 && end > at {
			name := segment[at+1 : end]
			if !identifier.MatchString(name) {
				return fmt.Errorf("takes the name of a parameter in braces, as in /items/{id}, not %q",
					segment[at:end+1])
			}
			if slices.Contains(names, name) {
				return fmt.Errorf("has {%s} twice", name)
			}
			names = append(names, name)
			literal = segment[:at] + segment[end+1:]
			if strings.ContainsAny(literal, "{}") {
				return fmt.Errorf("takes one parameter between two slashes, not %q", segment)
			}
		}
		decoded, err := url.PathUnescape(literal)
		switch {
		case err != nil || !pathCharacters.MatchString(literal):
			return wrongPath(text, literal)
		case segment == "" && len(segments) > 1:
			if i == len(segments)-1 {
				return fmt.Errorf("takes a path that does not end in a slash, such as %s, not %q",
					strings.TrimRight(text, "/"), text)
			}
			return fmt.Errorf("takes a path without an empty part, not %q", text)
		case literal == segment && (decoded == "." || decoded == ".."):
			return fmt.Errorf("takes a path without . and .., which clients take out, not %q", text)
		case strings.Contains(decoded, "/"):
			return fmt.Errorf("takes a path without an encoded slash, not %q", text)
		}
	}
	if decoded, err := url.PathUnescape(text); err == nil && slices.Contains(served, decoded) {
		return fmt.Errorf("takes another path than %s, which every server has", text)
	}
	return nil
}

// wrongPath says which character cannot be in a path.
func wrongPath(text, literal string) error {
	for i, c := range literal {
		if c == '%' && pathCharacters.MatchString(literal[i:min(i+3, len(literal))]) ||
			pathCharacters.MatchString(string(c)) {
			continue
		}
		switch c {
		case '?', '#':
			return fmt.Errorf("takes a path alone, without what follows the %c in %q", c, text)
		case '{', '}':
			return fmt.Errorf("takes the name of a parameter in braces, as in /items/{id}, not %q", text)
		}
		return fmt.Errorf("takes the path of a URL, such as /predict, where %q is written %s, not %q", c,
			url.PathEscape(string(c)), text)
	}
	return fmt.Errorf("takes the path of a URL, such as /predict, not %q", text)
}
