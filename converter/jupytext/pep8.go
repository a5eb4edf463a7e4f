package jupytext

import (
	"slices"
	"strings"
)

// blankLines is how many blank lines stand between a cell and what follows, as jupytext counts them by PEP 8.
func blankLines(previous, next []string, extension string) int {
	switch {
	case len(next) == 0:
		return 1
	case len(previous) == 0:
		return 0
	case extension != ".py":
		return 1
	case endsWithDefinition(previous):
		if hasCode(next) {
			return 2
		}
		return 1
	case endsWithCode(previous) && beginsWithDefinition(next):
		return 2
	}
	return 1
}

func definition(line string) bool {
	return strings.HasPrefix(line, "def ") || strings.HasPrefix(line, "async ") || strings.HasPrefix(line, "class ")
}

func beginsWithDefinition(lines []string) bool {
	q := newQuotes("python")
	for i, line := range lines {
		if q.quoted() {
			q.read(line)
			continue
		}
		q.read(line)
		switch {
		case blank(line):
			if i > 0 && blank(lines[i-1]) {
				return false
			}
		case definition(line):
			return true
		case line[0] != '#' && line[0] != '@' && line[0] != ' ' && line[0] != ')':
			return false
		}
	}
	return false
}

func endsWithDefinition(lines []string) bool {
	some := false
	for _, line := range lines {
		some = some || definition(line)
	}
	if !some {
		return false
	}
	q := newQuotes("python")
	var plain []string
	for _, line := range lines {
		if !q.quoted() {
			plain = append(plain, line)
		}
		q.read(line)
	}
	for i, line := range slices.Backward(plain) {
		switch {
		case blank(line):
			if i+1 < len(plain) && blank(plain[i+1]) {
				return false
			}
		case line[0] == '#' || line[0] == ' ' || line[0] == ')':
		default:
			return definition(line)
		}
	}
	return false
}

func endsWithCode(lines []string) bool {
	last := lines[len(lines)-1]
	return !blank(last) && last[0] != '#'
}

func hasCode(lines []string) bool {
	for i, line := range lines {
		rest := strings.TrimLeft(line, blanks)
		switch {
		case strings.HasPrefix(rest, "#"):
		case rest == "":
			if i > 0 && blank(lines[i-1]) {
				return false
			}
		default:
			return true
		}
	}
	return false
}
