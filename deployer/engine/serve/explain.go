package serve

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// finding is what the log says of an answer that has an id.
type finding struct {
	sentence string
	err      *run.Error
	fatal    bool // no input can make it right
}

// explain reads an entry of a worker's log: "NAME raised TYPE: TEXT" and the traceback, or "NAME returned …".
func explain(entry string) finding {
	sentence, trace, _ := strings.Cut(entry, "\n")
	f := finding{sentence: sentence}
	_, raised, found := strings.Cut(sentence, " raised ")
	if !found {
		_, returned, found := strings.Cut(sentence, " returned ")
		f.fatal = found && !notFinite.MatchString(returned) // that may come of the input, a kind of object does not
		f.err = &run.Error{Type: "TypeError", Text: sentence, Traceback: entry}
		return f
	}
	kind, text, _ := strings.Cut(raised, ": ")
	f.err = &run.Error{Type: kind, Text: text, Frames: frames(trace), Traceback: trace}
	switch kind {
	case "NameError":
		f.fatal = true
	case "ImportError", "ModuleNotFoundError":
		// An import statement names its module; what looks one up may have its name from the input.
		if n := len(f.err.Frames); n > 0 {
			f.fatal = importStatement.MatchString(f.err.Frames[n-1].Text)
		}
	}
	return f
}

var notFinite = regexp.MustCompile(`^-?infinity\b`)

var importStatement = regexp.MustCompile(`^\s*(import|from)\s`)

// placed is a line of a worker's traceback that lies in the notebook, "cell 5, line 3, in serve", or in the script,
// which is called by its name alone, and below it what stands there.
var placed = regexp.MustCompile(`(?m)^  (?:cell (\d+)|File "([^/"]+\.py)"), line (\d+), in (.*)\n    (.*)$`)

// frames are the lines of a traceback that the user wrote, outermost first.
func frames(trace string) []run.Frame {
	const most = 50
	var all []run.Frame
	for _, m := range placed.FindAllStringSubmatch(trace, most) {
		cell, _ := strconv.Atoi(m[1]) // digits, or "" in a script
		line, _ := strconv.Atoi(m[3])
		f := run.Frame{File: m[2], Line: line, Function: m[4], Text: m[5], Mine: true}
		if cell > 0 {
			f.File, f.Line, f.Cell, f.CellLine = "main.py", 0, cell, line
		}
		all = append(all, f)
	}
	return all
}
