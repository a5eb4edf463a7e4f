package serve

import (
	"fmt"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// lostWait is how long a test that was not answered by the function waits for the news that its worker was killed.
const lostWait = 250 * time.Millisecond

// probed takes in the answer to a test.
func (e *Engine) probed(r *revision, p run.Probed) {
	r.tried = p.Example
	switch r.state {
	case probing:
		e.judge(r, p)
	case losing:
		r.fails()
	default: // of a test that was given up, since a worker was killed
	}
}

// judge decides whether the answer to the test lets a revision be the one that answers.
func (e *Engine) judge(r *revision, p run.Probed) {
	switch {
	case p.Skipped:
		r.example = p.Example
		e.switchTo(r)
		return
	case p.Status > 0 && p.Status < 400:
		r.answer, r.example = p.Seconds, p.Example
		e.switchTo(r)
		return
	case p.Status != 500 && (p.Status < 400 || p.Status > 500) && r.state == probing:
		// The front's own answer: the worker may have been killed in the middle of it, and then is started again.
		r.state = doubting
		test := r.tests
		e.after(lostWait, func() {
			if e.starting == r && r.state == doubting && r.tests == test {
				e.judge(r, p)
			}
		})
		return
	}
	what, hint, fatal := p.Error, r.hint(), false
	var failed *run.Error
	if f := p.Failure; f != nil {
		first, _, _ := strings.Cut(f.Text, "\n")
		what, fatal, failed = prose.Clause(first), f.Fatal, &f.Error
	}
	if fatal {
		hint = ""
	}
	input := r.input(p.Example)
	if r.made() {
		input += ","
	}
	text := fmt.Sprintf("%s was answered with %d: %s", input, p.Status, what)
	if r.made() && e.answering == nil && r.spec.Server.Replaces == 0 && !fatal {
		// It may be our example that is wrong, and nobody is served worse by this revision than by none.
		e.emit(run.Event{Type: run.EventNote, Revision: r.n, Code: run.NoteExample, Text: text, Hint: hint})
		r.example = p.Example
		e.switchTo(r)
		return
	}
	if failed == nil {
		text += e.lastLines(r.workers[0].of(r))
	}
	e.fail(r, run.ReasonTest, failed, text, hint)
}

// lost fails a revision of which a worker ended. During a test it waits for what that was made with: the front says it
// at about the same time.
func (e *Engine) lost(r *revision, fails func()) {
	switch {
	case r.state == losing: // another worker of it: the first is the cause
	case r.state != probing || r.tried != "":
		fails()
	default:
		r.state, r.fails = losing, fails
		e.after(lostWait, func() {
			if e.starting == r && r.state == losing {
				fails()
			}
		})
	}
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
func (r *revision) hint() (hint string) {
	if r.made() {
		return "Name an input that it takes with --example."
	}
	return ""
}

// lastLines are the last lines of a worker's log, to be added to a sentence.
func (e *Engine) lastLines(w run.WorkerID) string {
	if lines := e.files.Tail(w, 20, 8<<10); lines != "" {
		return "\n" + lines
	}
	return ""
}
