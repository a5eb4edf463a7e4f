package cell

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/kernel/wire"
)

// Front is what the gate needs of the sockets. None of its functions waits.
type Front interface {
	// Forward sends a client's message to the wrapped kernel's shell.
	Forward(client string, frames [][]byte)
	// Reply sends a message to a client's shell.
	Reply(client string, frames [][]byte)
	// Publish sends a message to all on iopub; progress may be dropped for who lags.
	Publish(frames [][]byte, progress bool)
	// Present says whether a client is connected.
	Present(client string) bool
	// Notice shows a line under the next cell that is executed.
	Notice(text string)
}

// Bounds of what waits behind a cell in progress.
const (
	maxWaiting      = 10_000
	maxWaitingBytes = 64 << 20
	// maxInFlight bounds the requests whose answers are awaited.
	maxInFlight = 20_000
)

// Gate keeps the order of the main shell while a cell is in progress. Its methods are
// called from the sockets' readers and never wait for a peer.
type Gate struct {
	front Front
	maker *wire.Maker
	log   *slog.Logger

	mu       sync.Mutex
	inFlight map[string]*request // execute_requests the wrapped kernel has, by message id
	current  *request            // the request that closes the gate, nil when open
	holding  []*request          // the held ones, in order: current, and those that went past it
	waiting  []*request          // main-shell requests behind it, in order
	bytes    int                 // size of waiting
}

// NewGate makes an open gate.
func NewGate(front Front, maker *wire.Maker, log *slog.Logger) *Gate {
	return &Gate{front: front, maker: maker, log: log, inFlight: map[string]*request{}}
}

// request is one message of a client on shell.
type request struct {
	id, client string
	msg        wire.Message
	execute    bool
	subshell   bool
	came       time.Time

	talk       *Conversation // the latest that named this request as its cell
	state      holdState     // what talk means for the answer
	outcome    *talk.Failure // what ends the cell when it is not the reply itself
	reply      [][]byte      // the wrapped kernel's execute_reply, kept back; nil: it has not come
	idleState  idleState     // where its idle is
	idle       [][]byte      // if idleKept
	interrupts int           // interrupts so far

	cellID      string // the notebook's cell, where it is held and has one
	reads       bool   // it is held and a reading line
	count       int    // its execution_count
	signalled   bool   // an interrupt came while it closed the gate
	interrupted bool   // the reply was made up: an interrupt took the wrapped kernel's
}

// holdState says whether a request's answer waits for its conversation.
type holdState int

const (
	notHeld   holdState = iota // it does not: no conversation began, or it has ended, or detached
	undecided                  // the conversation is neither bound nor ended
	held                       // the conversation is bound and not done
)

// idleState says what became of the idle status that ends a request.
type idleState int

const (
	idleNotKept idleState = iota // it has not come, or was passed on as it came
	idleKept                     // it is kept back until the reply may go
	idlePassed                   // it was passed on, and the reply, which was lost, is made up after it
)

// mayHold says whether a cell's text can start a run. It only decides the order of
// what follows; a wrong yes costs nothing but that the next cell is sent on later.
func mayHold(content []byte) bool {
	return bytes.Contains(content, []byte("%%train")) || bytes.Contains(content, []byte("%%serve")) ||
		bytes.Contains(content, []byte("%metaml"))
}

// Request takes a client's message on shell and sends it on, now or in its turn.
func (g *Gate) Request(client string, m wire.Message, h wire.Header) {
	r := &request{
		id: h.ID, client: client, msg: m, execute: h.Type == "execute_request", subshell: h.Subshell() != "",
		came: time.Now(),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil && !r.subshell && (r.execute || (len(g.waiting) > 0 && g.current.state != held)) && !g.past(r) {
		g.wait(r)
		if r.execute {
			g.explain(r)
		}
		return
	}
	g.forward(r)
}

func (g *Gate) wait(r *request) {
	if len(g.waiting) >= maxWaiting || g.bytes+r.msg.Size() > maxWaitingBytes {
		g.log.Warn("a request was aborted: too many wait behind the cell in progress", "waiting", len(g.waiting))
		g.abort(r)
		return
	}
	g.waiting = append(g.waiting, r)
	g.bytes += r.msg.Size()
}

func (g *Gate) forward(r *request) {
	// An id that is in use, or one too many, is not followed: its answer only passes.
	if r.execute && g.inFlight[r.id] == nil && len(g.inFlight) < maxInFlight {
		g.inFlight[r.id] = r
		if !r.subshell && g.current == nil && mayHold(r.msg.Content()) {
			g.current = r
		}
	}
	g.front.Forward(r.client, r.msg.Frames)
}

// Header gives the header of an execute_request whose reply is still to come.
func (g *Gate) Header(id string) ([]byte, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r == nil {
		return nil, false
	}
	return r.msg.Header(), true
}

// Reply takes an execute_reply of the wrapped kernel to request id.
func (g *Gate) Reply(client, id string, frames [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r == nil {
		g.front.Reply(client, frames)
		return
	}
	r.reply = frames
	g.settle(r)
}

// Idle takes an idle status of the wrapped kernel whose parent is id.
func (g *Gate) Idle(id string, frames [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r != nil && r.reply == nil {
		time.AfterFunc(replyWait, func() { g.lost(r, replyPatience) })
	}
	if r != nil && (r.state != notHeld || r.outcome != nil) {
		r.idle, r.idleState = frames, idleKept
		g.settle(r)
		return
	}
	g.front.Publish(frames, false)
	g.stillBusy()
}

// stillBusy follows an idle while a cell is held: a front end shows the latest status, whoever caused it.
func (g *Gate) stillBusy() {
	if len(g.holding) > 0 {
		g.status("busy", g.holding[0])
	}
}

// How long after its idle a reply may come; they take different sockets.
const (
	replyWait     = time.Second      // when an interrupt may have taken it, or it holds nothing
	replyPatience = 10 * time.Second // when a program that keeps the GIL may keep it back
)

// lost ends a request that ipykernel will not answer. One that began no conversation
// (malformed, or interrupted) is forgotten, as ipykernel does it. Of a %%train cell the
// reply is made up: an interrupt that arrives between the cell's last statement and its
// reply is caught in the kernel, and the reply with it; the cell would stay busy for ever.
func (g *Gate) lost(r *request, patience time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight[r.id] != r || r.reply != nil {
		return
	}
	if !r.signalled && r.talk == nil {
		g.finish(r)
		return
	}
	if !r.signalled && patience > 0 {
		time.AfterFunc(patience, func() { g.lost(r, 0) })
		return
	}
	frames, err := g.maker.Make(r.msg.Routing(), "execute_reply", r.msg.Header(), nil, map[string]any{
		"status": "ok", "execution_count": r.count, "user_expressions": struct{}{}, "payload": []any{},
	})
	if err != nil {
		g.log.Error("a lost reply could not be made up", "error", err)
		return
	}
	r.reply = frames
	r.interrupted = true
	if r.idleState == idleNotKept {
		r.idleState = idlePassed
	}
	g.settle(r)
}

// Input takes the number that the wrapped kernel gave to an execute_request.
func (g *Gate) Input(id string, count int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.inFlight[id]; r != nil {
		r.count = count
	}
}

// Interrupt has the runs under held cells stop; the second time at once. When another cell
// is being executed the interrupt is the wrapped kernel's alone.
func (g *Gate) Interrupt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil {
		g.current.signalled = true
	}
	if len(g.holding) == 0 || g.executing() {
		return
	}
	for _, r := range g.holding {
		if g.shownAgain(r) {
			continue // the interrupt is for what the page shows
		}
		r.interrupts++
		r.talk.interrupt(r.interrupts > 1)
	}
}

// executing says whether the wrapped kernel executes a cell beside the held ones.
func (g *Gate) executing() bool {
	for _, r := range g.inFlight {
		if r.state != held && !r.subshell && r.reply == nil {
			return true
		}
	}
	return false
}

// Watched says whether the client that executed a cell is still there. A page that was reloaded is another client.
func (g *Gate) Watched(id string) bool {
	g.mu.Lock()
	r := g.inFlight[id]
	g.mu.Unlock()
	return r == nil || g.front.Present(r.client)
}

// begin ties a conversation to the request that it names as its cell.
func (g *Gate) begin(t *Conversation, id string, alone bool) (header []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r == nil {
		return nil
	}
	if alone && !r.subshell && r.execute && r.state != held {
		r.talk, r.state = t, undecided
		if g.current == nil {
			g.current = r
		}
	}
	return r.msg.Header()
}

// bound decides a conversation: from here its cell is held, or not when it detaches.
func (g *Gate) bound(t *Conversation, id string, detach bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r == nil || r.talk != t || r.state != undecided {
		return
	}
	if detach {
		r.state = notHeld
		g.settle(r)
		return
	}
	r.state = held
	r.cellID, r.reads = cellID(r.msg.Metadata()), reads(r.msg.Content())
	g.holding = append(g.holding, r)
	g.showAgain(r)
	if g.current == r {
		g.pass()
	}
}

// pass sends on what may go past a held cell: everything but execute_requests.
func (g *Gate) pass() {
	stay := g.waiting[:0]
	for _, w := range g.waiting {
		if w.execute {
			stay = append(stay, w)
			continue
		}
		g.bytes -= w.msg.Size()
		g.forward(w)
	}
	clear(g.waiting[len(stay):])
	g.waiting = stay
}

// end is a conversation's end: of its run (done), or of the talk before it was bound.
func (g *Gate) end(t *Conversation, id string, f *talk.Failure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.inFlight[id]
	if r == nil || r.talk != t || r.state == notHeld {
		return
	}
	if r.state == held {
		r.outcome = f
		g.endAgain(r)
	}
	r.state = notHeld
	g.holding = slices.DeleteFunc(g.holding, func(h *request) bool { return h == r })
	g.settle(r)
}

// settle answers a request when all is there: the decision, the reply and the idle.
// An idle that came first waits for its reply, so that an error of ours stands
// before both.
func (g *Gate) settle(r *request) {
	if r.state != notHeld || r.reply == nil {
		return
	}
	if r.interrupted && r.outcome == nil {
		r.outcome = &talk.Failure{Name: "KeyboardInterrupt", Traceback: []string{"KeyboardInterrupt"}}
	}
	if r.outcome == nil {
		g.front.Reply(r.client, r.reply)
		if r.idleState == idleKept {
			g.front.Publish(r.idle, false)
		}
		g.finish(r)
		return
	}
	if r.idleState == idleNotKept {
		return
	}
	if replyStatus(r.reply) == "ok" {
		g.publish("error", r.msg.Header(), *r.outcome)
		r.reply = g.failedReply(r)
	}
	g.front.Reply(r.client, r.reply)
	if r.idleState == idleKept {
		g.front.Publish(r.idle, false)
	}
	g.finish(r)
}

// finish forgets an answered request and opens the gate if it was the one.
func (g *Gate) finish(r *request) {
	delete(g.inFlight, r.id)
	if r.idleState != idleNotKept && r.talk != nil {
		g.stillBusy()
	}
	if g.current != r {
		return
	}
	g.current = nil
	waiting := g.waiting
	g.waiting, g.bytes = nil, 0
	abort := stops(r)
	var last *request // the latest execute_request that was sent on
	for _, w := range waiting {
		if g.current == nil && last != nil && w.client != last.client && g.inFlight[last.id] == last {
			// They have sockets of their own, between which ipykernel chooses freely:
			// the next one is sent when this one is answered, or their order is lost.
			g.current = last
		}
		switch {
		case abort && w.execute:
			g.abort(w)
		case g.current != nil:
			g.wait(w)
		default:
			g.forward(w)
			if w.execute {
				last = w
			}
		}
	}
}

// stops says whether ipykernel would abort what is queued behind this reply.
func stops(r *request) bool {
	switch replyStatus(r.reply) {
	case "aborted":
		return true
	case "error":
		content := struct {
			Silent      bool  `json:"silent"`
			StopOnError *bool `json:"stop_on_error"`
		}{}
		_ = json.Unmarshal(r.msg.Content(), &content) // ipykernel read it already
		return !content.Silent && (content.StopOnError == nil || *content.StopOnError)
	}
	return false
}

func replyStatus(frames [][]byte) string {
	m, err := wire.Parse(frames)
	if err != nil {
		return ""
	}
	var content struct {
		Status string `json:"status"`
	}
	_ = json.Unmarshal(m.Content(), &content) // "" is no status we act on
	return content.Status
}

// failedReply makes the error reply out of the ok reply that was held.
func (g *Gate) failedReply(r *request) [][]byte {
	m, err := wire.Parse(r.reply)
	if err != nil {
		return r.reply
	}
	var ok struct {
		Count json.RawMessage `json:"execution_count"`
	}
	meta := map[string]any{}
	if json.Unmarshal(m.Content(), &ok) != nil || json.Unmarshal(m.Metadata(), &meta) != nil {
		return r.reply
	}
	meta["status"] = "error"
	frames, err := g.maker.Make(m.Routing(), "execute_reply", m.Parent(), meta, map[string]any{
		"status": "error", "ename": r.outcome.Name, "evalue": r.outcome.Value, "traceback": r.outcome.Traceback,
		"execution_count": ok.Count, "user_expressions": struct{}{}, "payload": []any{},
	})
	if err != nil {
		g.log.Error("the cell's error could not be sent", "error", err)
		return r.reply
	}
	return frames
}

// abort answers a request as ipykernel answers what is queued behind a failed cell.
func (g *Gate) abort(r *request) {
	g.status("busy", r)
	frames, err := g.maker.Make(r.msg.Routing(), "execute_reply", r.msg.Header(), map[string]any{
		"started": time.Now().UTC().Format(time.RFC3339Nano), "dependencies_met": true,
		"engine": g.maker.Session(), "status": "aborted",
	}, map[string]string{"status": "aborted"})
	if err != nil {
		g.log.Error("a queued request could not be answered", "error", err)
		return
	}
	g.front.Reply(r.client, frames)
	g.status("idle", r)
}

func (g *Gate) status(state string, r *request) {
	g.publish("status", r.msg.Header(), map[string]string{"execution_state": state})
}

func (g *Gate) publish(msgType string, parent []byte, content any) {
	frames, err := g.maker.Make([][]byte{[]byte("kernel." + g.maker.Session() + "." + msgType)}, msgType, parent, nil,
		content)
	if err != nil {
		g.log.Error("a message could not be made", "type", msgType, "error", err)
		return
	}
	g.front.Publish(frames, false)
}
