package cell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// Conversation is one cell's connection and the `metaml` process behind it.
type Conversation struct {
	gate *Gate
	py   net.Conn
	proc *process
	// ending is done when the kernel lets every run go.
	ending context.Context //nolint:containedctx // read when a timer fires

	parent string // message id of the cell's execute_request
	header []byte // its header, for the parent of what is shown
	alone  bool   // the kernel shows and waits; else the module does

	left sync.Once // the notice that it goes on without its cell

	mu          sync.Mutex
	detach      bool   // the cell does not wait for the run
	bound       bool   // the run is bound: the kernel carries on when the module has left
	run         string // the run's name
	onInterrupt string // what an interrupt does to it
	exists      bool   // `metaml` said that the run is submitted
	done        bool   // `metaml` said its last line
}

// talk runs a conversation to its end: the process has ended and both goroutines too.
func (g *Gate) talk(ctx context.Context, py net.Conn, start func() (*process, error)) {
	t := &Conversation{gate: g, py: py, ending: ctx}
	defer func() { _ = py.Close() }()
	stop := context.AfterFunc(ctx, t.detachAll)
	defer stop()
	in := talk.NewReader(py)
	first, err := in.Next()
	if err != nil {
		return
	}
	l := talk.Parse(first)
	if l.Type != talk.TypeBegin {
		return
	}
	t.parent, t.alone = l.Cell.Parent, l.Cell.Alone
	t.header = g.begin(t, t.parent, t.alone)
	if t.header == nil {
		t.header, _ = json.Marshal(map[string]string{"msg_id": t.parent})
	}
	proc, err := start()
	if err != nil {
		t.refuse(usererror.CodeMetamlNotFound, err.Error(), "")
		g.end(t, t.parent, nil)
		return
	}
	t.mu.Lock()
	t.proc = proc
	t.mu.Unlock()
	if ctx.Err() != nil {
		t.detachAll()
	}
	var fromPy sync.WaitGroup
	fromPy.Go(func() { t.pyLines(in, first) })
	t.goLines()
	t.exited(proc.wait())
	_ = py.Close()
	fromPy.Wait()
}

// pyLines relays what the module says, from its first line to its end.
func (t *Conversation) pyLines(in *talk.Reader, text []byte) {
	var err error
	for err == nil {
		switch talk.Parse(text).Type {
		case talk.TypeBound:
			t.mu.Lock()
			t.bound = true
			detach := t.detach
			t.mu.Unlock()
			if t.alone {
				t.gate.bound(t, t.parent, detach)
			}
		case talk.TypeStop:
			// The module waits itself; it cannot know either what follows the interrupt.
			select {
			case <-time.After(restartGrace):
			case <-t.ending.Done():
				return
			}
			if !t.gate.Watched(t.parent) {
				text = encoded(talk.Detach{})
				t.leave()
			}
		}
		// A `metaml` that has ended is noticed by goLines.
		_ = t.proc.send(text)
		text, err = in.Next()
	}
	t.mu.Lock()
	keep := t.bound && t.alone
	t.mu.Unlock()
	if !keep {
		// Before `bound` this cancels; afterwards the module that waits itself detaches.
		t.proc.closeInput()
		t.gate.end(t, t.parent, nil)
	}
}

// goLines relays what `metaml` says and shows its bundles, until it says no more.
func (t *Conversation) goLines() {
	out := talk.NewReader(t.proc.out)
	pyGone := false
	for {
		text, err := out.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.proc.fail(err)
			}
			return
		}
		l := talk.Parse(text)
		t.note(l)
		if !pyGone {
			if _, err := t.py.Write(text); err != nil {
				pyGone = true
			}
		}
		if t.alone {
			t.show(l)
		}
	}
}

// note keeps what later decisions need.
func (t *Conversation) note(l talk.Relayed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch l.Type {
	case talk.TypeOptions:
		t.detach = t.detach || l.Detach
	case talk.TypeAccepted:
		t.run, t.onInterrupt = l.Run, l.Interrupt
		t.detach = t.detach || l.Detach
	case talk.TypeSubmitted:
		t.run, t.exists = l.Run, true
	case talk.TypeDone, talk.TypeRefused:
		t.done = true
	}
}

// show does the kernel's part for a cell that it waits for.
func (t *Conversation) show(l talk.Relayed) {
	switch l.Type {
	case talk.TypeSlice, talk.TypeDisplay:
		t.display(l)
	case talk.TypeStream:
		t.gate.publish("stream", t.header, map[string]string{"name": "stdout", "text": l.Text})
	case talk.TypeDone:
		t.gate.end(t, t.parent, l.Error)
	}
}

func (t *Conversation) display(l talk.Relayed) {
	msgType := "display_data"
	if l.Update {
		msgType = "update_display_data"
	}
	if len(l.Bundle) == 0 {
		l.Bundle = json.RawMessage("{}")
	}
	if len(l.Metadata) == 0 || string(l.Metadata) == "null" {
		l.Metadata = json.RawMessage("{}")
	}
	transient := map[string]string{}
	if l.DisplayID != "" {
		transient["display_id"] = l.DisplayID
	}
	g := t.gate
	topic := []byte("kernel." + g.maker.Session() + "." + msgType)
	frames, err := g.maker.Make([][]byte{topic}, msgType, t.header, nil, map[string]any{
		"data": l.Bundle, "metadata": l.Metadata, "transient": transient,
	})
	if err != nil {
		g.log.Warn("a display of metaml was not JSON", "run", t.run, "error", err)
		return
	}
	g.front.Publish(frames, l.Update)
}

// exited ends the cell when `metaml` ended without its last line.
func (t *Conversation) exited(err error) {
	t.mu.Lock()
	done, bound, run, exists := t.done, t.bound, t.run, t.exists
	t.mu.Unlock()
	if done {
		t.gate.end(t, t.parent, nil)
		return
	}
	why := "metaml ended without saying how the run went"
	if err != nil {
		why = "metaml ended: " + err.Error()
	}
	if tail := t.proc.tail.String(); tail != "" {
		why += "; its last words: " + tail
	}
	if !bound {
		t.refuse(usererror.CodeMetamlEnded, why, "Run the cell again. `metaml doctor` checks the installation.")
		t.gate.end(t, t.parent, nil)
		return
	}
	hint := fmt.Sprintf("Run %s goes on: `%%metaml attach %s` shows it again.", run, run)
	if !exists {
		hint = fmt.Sprintf("It was about to start run %s: `%%metaml runs` shows whether it did.", run)
	}
	value := usererror.Sentences(why, hint)
	t.gate.end(t, t.parent, &talk.Failure{
		Name: "Detached", Value: value, Traceback: []string{"Detached: " + value},
	})
}

// refuse sends the module why there will be no answer.
func (t *Conversation) refuse(code usererror.Code, text, hint string) {
	// a module that has left needs no reason
	_ = talk.NewWriter(t.py).Send(talk.Refused{Code: string(code), Text: text, Hint: hint})
}

// restartGrace is how long a stop is kept back. A front end that restarts or ends the
// kernel interrupts it first and shuts it down right after; that must detach from
// the run, not stop it.
const restartGrace = 400 * time.Millisecond

// interrupt has `metaml` stop the run, unless the kernel's end follows at once. Where the page that shows the run
// is gone nobody can see what they would stop: it is let go instead, and the next cell says so.
func (t *Conversation) interrupt(now bool) {
	time.AfterFunc(restartGrace, func() {
		switch {
		case t.ending.Err() != nil:
		case !t.gate.Watched(t.parent):
			t.leave()
			t.letGo()
		default:
			t.sendStop(now)
		}
	})
}

// letGo ends the cell and not its run, without waiting for `metaml` to read it. An ended one ends the cell by itself.
func (t *Conversation) letGo() { time.AfterFunc(0, func() { _ = t.proc.send(encoded(talk.Detach{})) }) }

// leave says, once, that the run goes on without its cell.
func (t *Conversation) leave() {
	t.left.Do(func() {
		run := t.name()
		t.gate.front.Notice(run +
			" goes on: its page was closed or loaded again, so the interrupt has ended the cell alone. `%metaml " +
			"attach " +
			run + "` shows it, `%metaml stop " + run + "` stops it.")
	})
}

// name is the run's, "" before it has one.
func (t *Conversation) name() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run
}

// shows gives the run's name and what an interrupt does to it.
func (t *Conversation) shows() (run, interrupt string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run, t.onInterrupt
}

func (t *Conversation) sendStop(now bool) {
	_ = t.proc.send(encoded(talk.Stop{Now: now})) // an ended metaml ends the cell by itself
}

// detachAll lets `metaml` go: its input ends, the run goes on.
func (t *Conversation) detachAll() {
	t.mu.Lock()
	proc := t.proc
	t.mu.Unlock()
	if proc != nil {
		proc.closeInput()
	}
	_ = t.py.Close()
}

// encoded is a line of ours. One without text always encodes.
func encoded(l talk.Line) []byte {
	text, err := talk.Encode(l)
	if err != nil {
		panic(err)
	}
	return text
}
