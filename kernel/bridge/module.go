package bridge

import (
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/metaml/metaml/internal/prose"
)

// moduleFault is why the metaml module was not loaded into the wrapped kernel, if it was not.
type moduleFault struct {
	text atomic.Pointer[string] // what the front end shows; nil: no fault is known

	inTraceback bool // the traceback of the failure is being printed; of readLine alone
}

// exceptionLine is the last line of a traceback.
var exceptionLine = regexp.MustCompile(`^[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b`)

// readLine reads a line of the wrapped kernel's standard error for the one thing that ipykernel says nowhere else: that
// our module did not load, and a traceback after it. It gives why, or "". It is called from one goroutine.
func (f *moduleFault) readLine(line string) (why string) {
	switch {
	case strings.Contains(line, "Error in loading extension: metaml"):
		f.inTraceback = true
		return "the kernel's log has the traceback"
	case f.inTraceback && exceptionLine.MatchString(line):
		f.inTraceback = false
		return prose.Clause(line)
	}
	return ""
}

// set keeps why the module was not loaded, and gives the sentence that says so.
func (f *moduleFault) set(why string) (text string) {
	text = "MetaML could not be loaded into this Python, so %%train and %%serve are not known here: " + why + "."
	f.text.Store(&text)
	return text
}

// childPrinted takes a line of the wrapped kernel's standard error.
func (b *Bridge) childPrinted(line string) {
	if why := b.module.readLine(line); why != "" {
		b.moduleFailed(why)
	}
}

// moduleFailed has the front end show that there will be no %%train.
func (b *Bridge) moduleFailed(why string) {
	text := b.module.set(why)
	b.Notice(text)
	b.log.Error(text)
}
