package prose

import (
	"testing"
	"time"
)

func TestList(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"},
	} {
		t.Run(want, func(t *testing.T) {
			if got := List(names); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
	if got := Either([]string{"a", "b", "c"}); got != "a, b or c" {
		t.Errorf("got %q", got)
	}
}

func TestClause(t *testing.T) {
	for said, want := range map[string]string{
		"": "", "no": "no", "It is full.": "It is full", " and so on...\n": "and so on",
	} {
		t.Run(said, func(t *testing.T) {
			if got := Clause(said); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"größer als vier", 4, "grö…"},
		{"größe", 5, "größe"}, // five characters, seven bytes
		{"ab", 1, "…"},
	} {
		t.Run(c.text, func(t *testing.T) {
			if got := Shorten(c.text, c.n); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		name  string
		names []string
		want  string
	}{
		{"paralelism", []string{"parallelism", "completions"}, "parallelism"},
		{"sed", []string{"seed", "host"}, "seed"},
		{"hsot", []string{"seed", "host"}, "host"}, // two neighbours that changed places are one letter
		{"vectoriser", []string{"vectorizer"}, "vectorizer"},
		{"dry_run", []string{"dry-run"}, "dry-run"},
		{"complet", []string{"completions"}, "completions"}, // it begins so
		{"y", []string{"x", "f"}, ""},                       // any short name is near to any other
		{"ab", []string{"ax"}, ""},
		{"train", []string{"train"}, "train"},
		{"train", []string{"serve", "plot"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Nearest(c.name, c.names); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for want, n := range map[string]int{"0 trials": 0, "1 trial": 1, "999 trials": 999, "12,345 trials": 12345} {
		t.Run(want, func(t *testing.T) {
			if got := Count(n, "trial"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"340 ms": 340 * time.Millisecond, "9.8 s": 9800 * time.Millisecond, "42 s": 42 * time.Second,
		"3 min 20 s": 200 * time.Second, "2 h": 2 * time.Hour, "3 d 4 h": 76 * time.Hour,
	} {
		t.Run(want, func(t *testing.T) {
			if got := Duration(d); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
