package settings

import (
	"strings"
	"testing"
)

func TestPathsOfURLs(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"/", "/predict", "/v1/models/m:predict", "/a@b/c!$&'()*+,;=", "/caf%C3%A9", "/items/{id}",
		"/v1/models/{model}:predict", "/a-{x}/{y}.json", "/{größe}",
		"/v1.0/~me/...", "/healthz/mine",
	} {
		t.Run(good, func(t *testing.T) {
			t.Parallel()
			if err := checkPath(good); err != nil {
				t.Errorf("%s: %v", good, err)
			}
		})
	}
	for bad, want := range map[string]string{
		"":           "takes the path of a URL, such as /predict",
		"predict":    "takes the path of a URL, such as /predict",
		"/predict/":  "does not end in a slash, such as /predict,",
		"/a//b":      "without an empty part",
		"/a b":       "where ' ' is written %20",
		"/café":      "where 'é' is written %C3%A9",
		"/a%":        "where '%' is written %25",
		"/a%2":       "where '%' is written %25",
		"/a%zz":      "where '%' is written %25",
		"/a%2Fb":     "without an encoded slash",
		"/a/../b":    "without . and ..",
		"/a/%2e%2e":  "without . and ..",
		"/a?x=1":     "without what follows the ?",
		"/a#b":       "without what follows the #",
		"/{}":        "the name of a parameter in braces",
		"/{a b}":     "the name of a parameter in braces",
		"/{id":       "the name of a parameter in braces",
		"/id}":       "the name of a parameter in braces",
		"/{a}{b}":    "one parameter between two slashes",
		"/{a}/{a}":   "has {a} twice",
		"/healthz":   "takes another path than /healthz",
		"/%68ealthz": "takes another path than /%68ealthz",
		"http://x/a": "takes the path of a URL, such as /predict",
		"/a\r\nb":    "takes the path of a URL",
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			if err := checkPath(bad); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", bad, err, want)
			}
		})
	}
}

func FuzzPath(f *testing.F) {
	for _, text := range []string{"/a/{b}:c", "/%41", "//", "/{", "/}{"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := checkPath(text); err == nil && strings.ContainsAny(text, " ?#\r\n\"<>") {
			t.Fatalf("%q is taken", text)
		}
	})
}
