package serve

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// lostPatience is how long a test that was not answered by the function waits for the news that its worker was killed.
const lostPatience = 250 * time.Millisecond

// judge decides whether what was answered to the test lets a revision be the one that answers.
func (e *engine) judge(r *revision, p run.Probed) {
	r.tried = p.Example
	switch {
	case r.fails != nil:
		r.fails()
		return
	case p.Skipped:
		r.example = p.Example
		e.switchTo(r)
		return
	case p.Status > 0 && p.Status < 400:
		r.answer, r.example = p.Seconds, p.Example
		e.switchTo(r)
		return
	case p.Status != 500 && (p.Status < 400 || p.Status > 500) && !r.doubted:
		// The front's own answer: the worker may have been killed in the middle of it, and then is started again.
		r.doubted = true
		e.after(lostPatience, func() {
			if e.starting == r && r.probing && r.phase == starting {
				e.judge(r, p)
			}
		})
		return
	}
	found := e.logged(r, p.Body)
	what := p.Error
	if found.sentence != "" {
		what = found.sentence
	}
	hint := r.hint()
	if found.fatal {
		hint = ""
	}
	input := r.input(p.Example)
	if r.made() {
		input += ","
	}
	text := fmt.Sprintf("%s was answered with %d: %s", input, p.Status, what)
	if r.made() && e.answering == nil && !found.fatal {
		// It may be our example that is wrong, and nobody is served worse by this revision than by none.
		e.emit(run.Event{Type: run.EventNote, Revision: r.n, Code: "example", Text: text, Hint: hint})
		r.example = p.Example
		e.switchTo(r)
		return
	}
	if found.err == nil {
		text += e.lastLines(r, r.workers[0])
	}
	e.fail(r, run.ReasonTest, found.err, text, hint)
}

// lost fails a revision of which a worker ended, when it is known what it was tried with: the front says that at about the same time.
func (e *engine) lost(r *revision, fails func()) {
	if !r.probing || r.tried != "" {
		fails()
		return
	}
	r.fails = fails
	e.after(lostPatience, func() {
		if e.starting == r && r.phase == starting {
			fails()
		}
	})
}

// made reports whether the example is ours.
func (r *revision) made() bool { return r.spec.Server.Example == "" }

// input names the example.
func (r *revision) input(example string) string {
	if r.made() {
		return "the example made from the signature, " + prose.Shorten(example, maxExample)
	}
	return "the example " + prose.Shorten(example, maxExample)
}

// maxExample is how many characters of an example a message shows.
const maxExample = 200

// hint is what may help where the example is the cause.
func (r *revision) hint() string {
	if r.made() {
		return "name an input that it takes with --example"
	}
	return ""
}

// finding is what the log says of an answer that has an id.
type finding struct {
	sentence string
	err      *run.Error
	fatal    bool // no input can make it right
}

// logged finds why the function failed, in the log of whichever worker has the id that is in the answer
// (docs/reference/serving.md).
func (e *engine) logged(r *revision, body string) finding {
	var answer struct{ ID string }
	if json.Unmarshal([]byte(body), &answer) != nil || answer.ID == "" {
		return finding{}
	}
	for _, w := range r.workers {
		_, entry, found := strings.Cut(folder.Tail(r.stderr(w), 400, 64<<10), "metaml: "+answer.ID+" ")
		if found {
			entry, _, _ = strings.Cut(entry, "\nmetaml: ")
			return explain(entry)
		}
	}
	return finding{}
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

// placed is a line of a worker's traceback that lies in the notebook, "cell 5, line 3, in serve", or in the script, which is called by its
// name alone, and below it what stands there.
var placed = regexp.MustCompile(`(?m)^  (?:cell (\d+)|File "([^/"]+\.py)"), line (\d+), in (.*)\n    (.*)$`)

// frames are the lines of a traceback that the user wrote, outermost first.
func frames(trace string) []run.Frame {
	const most = 50
	var found []run.Frame
	for _, m := range placed.FindAllStringSubmatch(trace, most) {
		cell, _ := strconv.Atoi(m[1]) // digits, or "" in a script
		line, _ := strconv.Atoi(m[3])
		f := run.Frame{File: m[2], Line: line, Function: m[4], Text: m[5], Mine: true}
		if cell > 0 {
			f.File, f.Line, f.Cell, f.CellLine = "main.py", 0, cell, line
		}
		found = append(found, f)
	}
	return found
}

// lastLines is what a worker said last, to be added to a sentence.
func (e *engine) lastLines(r *revision, w *worker) string {
	if lines := folder.Tail(r.stderr(w), 20, 8<<10); lines != "" {
		return "\n" + lines
	}
	return ""
}
