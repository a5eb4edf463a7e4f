package jupytext

import "strings"

// quotes knows whether a line begins inside of a string, as jupytext's StringParser does; unlike it, quotes sees that
// "\\" is a whole escape.
type quotes struct {
	ignore  bool   // the language is not known
	r       bool   // R: no triple quotes, strings go over lines
	comment string // what begins one

	single, triple byte
}

func newQuotes(language string) *quotes {
	if language == "" {
		return &quotes{ignore: true}
	}
	return &quotes{r: language == "R", comment: commentOf(language)}
}

func (q *quotes) quoted() bool { return q.single != 0 || q.triple != 0 }

// read goes over a line.
func (q *quotes) read(line string) {
	if q.ignore || q.triple == 0 && q.single == 0 && !strings.ContainsAny(line, `"'`) {
		return
	}
	if !q.quoted() && q.comment != "" && strings.HasPrefix(strings.TrimLeft(line, blanks), q.comment) {
		return
	}
	start := -1
	escaped := false
	for i := range len(line) {
		c := line[i]
		if !q.quoted() && q.comment != "" && strings.HasPrefix(line[i:], q.comment) {
			break
		}
		if c != '"' && c != '\'' {
			escaped = c == '\\' && !escaped
			continue
		}
		if escaped {
			escaped = false
			continue
		}
		switch {
		case q.single == c:
			q.single = 0
			continue
		case q.single != 0 || q.r && q.triple != 0:
			continue
		}
		if q.r {
			continue
		}
		if i >= 2 && line[i-1] == c && line[i-2] == c && i >= start+3 {
			if q.triple == c {
				q.triple, start = 0, i
				continue
			}
			if q.triple == 0 {
				q.triple, start = c, i
			}
			continue
		}
		if q.triple == 0 {
			q.single = c
		}
	}
	if !q.r {
		q.single = 0
	}
}

// blanks is what Python's str.strip takes away, of ASCII.
const blanks = " \t\n\v\f\r\x1c\x1d\x1e\x1f"

// blank is a line of blanks alone.
func blank(line string) bool { return strings.TrimLeft(line, blanks) == "" }
