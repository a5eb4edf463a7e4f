package cell

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/kernel/wire"
)

// recorder is a Front that writes down what it is given: the edge that sockets are at.
type recorder struct {
	mu        sync.Mutex
	forwarded []string // message ids
	replies   []string // parent id and status
	published []string // type, parent id and state
	gone      string   // a client that left
	notices   []string
}

func (r *recorder) Present(client string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return client != r.gone
}

func (r *recorder) Notice(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, text)
}

func (r *recorder) Forward(_ string, frames [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, _ := wire.Parse(frames)
	h, _ := wire.ParseHeader(m.Header())
	r.forwarded = append(r.forwarded, h.ID)
}

func (r *recorder) Reply(_ string, frames [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, _ := wire.Parse(frames)
	p, _ := wire.ParseHeader(m.Parent())
	r.replies = append(r.replies, p.ID+" "+replyStatus(frames))
}

func (r *recorder) Publish(frames [][]byte, _ bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, _ := wire.Parse(frames)
	h, _ := wire.ParseHeader(m.Header())
	p, _ := wire.ParseHeader(m.Parent())
	var c struct {
		State string `json:"execution_state"`
	}
	_ = json.Unmarshal(m.Content(), &c)
	r.published = append(r.published, h.Type+" "+p.ID+" "+c.State)
}

type fixture struct {
	*recorder
	gate *Gate
	t    *testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := wire.NewSigner("k", "")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	return &fixture{r, NewGate(r, wire.NewMaker(s), slog.New(slog.NewTextHandler(io.Discard, nil))), t}
}

func (f *fixture) message(id, msgType, parent string, content any) wire.Message {
	header, _ := json.Marshal(map[string]string{"msg_id": id, "msg_type": msgType})
	parentHeader, _ := json.Marshal(map[string]string{"msg_id": parent})
	body, err := json.Marshal(content)
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := wire.Parse([][]byte{wire.Delimiter, nil, header, parentHeader, []byte("{}"), body})
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func (f *fixture) request(id, msgType, code string) { f.requestOf("client", id, msgType, code) }

func (f *fixture) requestOf(client, id, msgType, code string) {
	f.gate.Request(client, f.message(id, msgType, "", map[string]string{"code": code}),
		wire.Header{ID: id, Type: msgType})
}

// answer is ipykernel's reply and idle, which come by different sockets in any order.
func (f *fixture) answer(id, status string, idleFirst bool) {
	reply, idle := func() { f.reply(id, status) }, func() { f.idle(id) }
	if idleFirst {
		reply, idle = idle, reply
	}
	reply()
	idle()
}

func (f *fixture) reply(id, status string) {
	f.gate.Reply("client", id, f.message("r", "execute_reply", id,
		map[string]any{"status": status, "execution_count": 1}).Frames)
}

func (f *fixture) idle(id string) {
	f.gate.Idle(id, f.message("i", "status", id, map[string]string{"execution_state": "idle"}).Frames)
}

func (f *fixture) want(what string, got []string, want ...string) {
	f.t.Helper()
	if !slices.Equal(got, want) {
		f.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestOrdinaryCellsAreNeverHeldBack(t *testing.T) {
	f := newFixture(t)
	for i := range 3 {
		f.request(fmt.Sprint(i), "execute_request", "1")
	}
	f.want("forwarded", f.forwarded, "0", "1", "2")
	f.answer("0", "ok", true)
	f.want("replies", f.replies, "0 ok")
}

func TestTheMainShellKeepsItsOrderUntilTheRunIsBound(t *testing.T) {
	f := newFixture(t)
	f.request("a", "execute_request", "%%train\n")
	f.request("comm before", "comm_msg", "")
	f.request("b", "execute_request", "1")
	f.request("comm behind b", "comm_msg", "")
	f.want("before bound", f.forwarded, "a", "comm before")
	talk := &Conversation{}
	f.gate.begin(talk, "a", true)
	f.gate.bound(talk, "a", false)
	f.want("while held", f.forwarded, "a", "comm before", "comm behind b")
	f.request("complete", "complete_request", "")
	f.answer("a", "ok", false)
	f.want("replies while held", f.replies)
	f.gate.end(talk, "a", nil)
	f.want("at the end", f.forwarded, "a", "comm before", "comm behind b", "complete", "b")
	f.want("replies", f.replies, "a ok")
}

func TestARefusedCellEndsLikeAnyOther(t *testing.T) {
	f := newFixture(t)
	f.request("a", "execute_request", "%%train\n")
	f.request("b", "execute_request", "1")
	talk := &Conversation{}
	f.gate.begin(talk, "a", true)
	f.gate.end(talk, "a", nil)
	f.answer("a", "error", false)
	f.want("replies", f.replies, "a error", "b aborted")
	f.want("published", f.published, "status b busy", "status b idle", "status a idle")
}

func TestAReplyBeforeTheDecisionWaitsForIt(t *testing.T) {
	for _, idleFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("idle first %t", idleFirst), func(t *testing.T) {
			f := newFixture(t)
			f.request("a", "execute_request", "%%train\n")
			talk := &Conversation{}
			f.gate.begin(talk, "a", true)
			f.answer("a", "ok", idleFirst)
			f.want("undecided", f.replies)
			f.gate.bound(talk, "a", true) // --detach
			f.want("detached", f.replies, "a ok")
			f.want("published", f.published, "status a idle")
		})
	}
}

// TestADecisionBetweenIdleAndReply: the two come by different sockets, and the run may end between them.
func TestADecisionBetweenIdleAndReply(t *testing.T) {
	for name, decide := range map[string]func(*Gate, *Conversation){
		"a run that is over": func(g *Gate, talk *Conversation) { g.bound(talk, "a", false); g.end(talk, "a", nil) },
		"a refusal":          func(g *Gate, talk *Conversation) { g.end(talk, "a", nil) },
		"--detach":           func(g *Gate, talk *Conversation) { g.bound(talk, "a", true) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.request("a", "execute_request", "%%train\n")
			talk := &Conversation{}
			f.gate.begin(talk, "a", true)
			f.idle("a")
			decide(f.gate, talk)
			f.reply("a", "ok")
			f.want("replies", f.replies, "a ok")
			f.want("published", f.published, "status a idle")
		})
	}
}

func TestAFailedRunsErrorStandsBeforeReplyAndIdle(t *testing.T) {
	f := newFixture(t)
	f.request("a", "execute_request", "%%train\n")
	talk := &Conversation{}
	f.gate.begin(talk, "a", true)
	f.gate.bound(talk, "a", false)
	f.gate.end(talk, "a", failure("TrialsFailed")) // before ipykernel's reply is here
	f.want("too early", f.replies)
	f.answer("a", "ok", true)
	f.want("replies", f.replies, "a error")
	f.want("published", f.published, "error a ", "status a idle")
}

// TestACellThatOnlyMentionsTrainOpensTheGateWithItsReply: what follows is sent on at once,
// or aborted where ipykernel would.
func TestACellThatOnlyMentionsTrainOpensTheGateWithItsReply(t *testing.T) {
	const text = "print('%%train')"
	for _, c := range []struct {
		name    string
		content map[string]any
		status  string
		aborts  bool
	}{
		{"a string", map[string]any{"code": text}, "ok", false},
		{"a syntax error", map[string]any{"code": "%%train ("}, "error", true},
		{"an error that stops nothing", map[string]any{"code": text, "stop_on_error": false}, "error", false},
		{"silent", map[string]any{"code": text, "silent": true}, "ok", false},
		{"a silent error", map[string]any{"code": text, "silent": true}, "error", false},
		{"not in history", map[string]any{"code": text, "store_history": false}, "ok", false},
		{"not in history, an error", map[string]any{"code": text, "store_history": false}, "error", true},
		{"aborted by a cell before", map[string]any{"code": text}, "aborted", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, idleFirst := range []bool{true, false} {
				t.Run(fmt.Sprintf("idle first %t", idleFirst), func(t *testing.T) {
					f := newFixture(t)
					f.gate.Request("client", f.message("a", "execute_request", "", c.content),
						wire.Header{ID: "a", Type: "execute_request"})
					f.request("b", "execute_request", "1")
					f.request("c", "complete_request", "")
					f.want("behind it", f.forwarded, "a")
					f.answer("a", c.status, idleFirst)
					if c.aborts {
						f.want("forwarded", f.forwarded, "a", "c")
						f.want("replies", f.replies, "a "+c.status, "b aborted")
					} else {
						f.want("forwarded", f.forwarded, "a", "b", "c")
						f.want("replies", f.replies, "a "+c.status)
					}
					if f.gate.current != nil {
						t.Error("the gate is left closed")
					}
				})
			}
		})
	}
}

func TestASubshellsCellClosesNoGate(t *testing.T) {
	f := newFixture(t)
	header, _ := json.Marshal(map[string]string{"msg_id": "a", "msg_type": "execute_request", "subshell_id": "s"})
	m, err := wire.Parse([][]byte{
		wire.Delimiter, nil, header, []byte("{}"), []byte("{}"), []byte(`{"code":"%%train"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := wire.ParseHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	f.gate.Request("client", m, h)
	f.request("b", "execute_request", "1")
	f.want("forwarded", f.forwarded, "a", "b")
}

// TestARequestThatIsNeverAnsweredOpensTheGate: ipykernel logs a malformed one and sends idle alone.
func TestARequestThatIsNeverAnsweredOpensTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.request("a", "execute_request", "%%train")
		f.request("b", "execute_request", "1")
		f.idle("a")
		f.want("published", f.published, "status a idle")
		time.Sleep(replyWait) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		f.want("forwarded", f.forwarded, "a", "b")
		f.want("replies", f.replies)
		f.idle("b")
		time.Sleep(replyWait) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if len(f.gate.inFlight) != 0 {
			t.Error("a request without an answer is kept")
		}
	})
}

// TestALateReplyIsNoLostOne: a thread that keeps the GIL may hold it back for seconds;
// only an interrupt takes it.
func TestALateReplyIsNoLostOne(t *testing.T) {
	for _, interrupted := range []bool{true, false} {
		t.Run(fmt.Sprintf("interrupted %t", interrupted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.request("a", "execute_request", "%%train")
				talk := &Conversation{}
				f.gate.begin(talk, "a", true)
				f.gate.bound(talk, "a", true)
				if interrupted {
					f.gate.Interrupt()
				}
				f.idle("a")
				time.Sleep(replyPatience / 2) //nolint:forbidigo // the bubble's clock
				synctest.Wait()
				if interrupted {
					f.want("replies", f.replies, "a error")
					return
				}
				f.want("replies", f.replies)
				f.answer("a", "ok", false)
				f.want("replies", f.replies, "a ok")
				time.Sleep(replyPatience) //nolint:forbidigo // the bubble's clock
				synctest.Wait()
				f.want("replies", f.replies, "a ok")
			})
		})
	}
}

func TestTheSameIdTwiceLeavesNoGateClosed(t *testing.T) {
	f := newFixture(t)
	f.request("a", "execute_request", "1")
	f.request("a", "execute_request", "%%train")
	f.answer("a", "ok", false)
	f.answer("a", "ok", false)
	f.request("b", "execute_request", "1")
	f.want("forwarded", f.forwarded, "a", "a", "b")
	f.want("replies", f.replies, "a ok", "a ok")
	for i := range maxInFlight {
		f.request(fmt.Sprint(i), "execute_request", "1")
	}
	f.request("last", "execute_request", "%%train")
	if f.gate.current != nil {
		t.Error("a request that is not followed closed the gate")
	}
}

// TestTwoFrontEndsKeepTheirOrder: ipykernel chooses freely between their sockets, so what
// waited is sent on one by one where the front end changes.
func TestTwoFrontEndsKeepTheirOrder(t *testing.T) {
	f := newFixture(t)
	f.request("a", "execute_request", "%%train\n")
	f.request("b", "execute_request", "1")
	f.request("c", "execute_request", "1")
	f.requestOf("other", "d", "execute_request", "1")
	f.request("e", "execute_request", "1")
	f.answer("a", "ok", false)
	f.want("of the same front end", f.forwarded, "a", "b", "c")
	f.answer("b", "ok", false)
	f.answer("c", "ok", true)
	f.want("of the other", f.forwarded, "a", "b", "c", "d")
	f.answer("d", "error", false)
	f.want("replies", f.replies, "a ok", "b ok", "c ok", "d error", "e aborted")
	if f.gate.current != nil || len(f.gate.inFlight) != 0 {
		t.Error("the gate is left closed")
	}
}

// TestAnyOrderEndsWithEveryRequestAnsweredOnce plays random sessions: whatever the
// order of cells, conversations and answers, each request is answered exactly once and
// idle once, executes in their order, and the gate ends open.
func TestAnyOrderEndsWithEveryRequestAnsweredOnce(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := newFixture(t)
		n := 2 + rng.IntN(6)
		for i := range n {
			f.requestOf([]string{"one", "other"}[rng.IntN(2)], fmt.Sprint(i), "execute_request",
				[]string{"1", "%%train\n"}[rng.IntN(2)])
		}
		for answered := 0; answered < len(f.forwarded); answered++ {
			id := f.forwarded[answered]
			talk := &Conversation{}
			steps := []func(){
				func() { f.gate.begin(talk, id, true) },
				func() { f.gate.bound(talk, id, rng.IntN(3) == 0) },
				func() { f.gate.end(talk, id, []*failed{nil, failure("E")}[rng.IntN(2)]) },
			}
			if rng.IntN(4) == 0 { // it does not start a run
				f.answer(id, []string{"ok", "error"}[rng.IntN(2)], rng.IntN(2) == 0)
				continue
			}
			reply, idle := rng.IntN(len(steps)), rng.IntN(len(steps)) // after which step each comes
			for i, step := range steps {
				step()
				if reply == i && idle == i {
					f.answer(id, "ok", rng.IntN(2) == 0)
				} else if reply == i {
					f.reply(id, "ok")
				} else if idle == i {
					f.idle(id)
				}
			}
		}
		for i := range n {
			idles := 0
			for _, p := range f.published {
				if p == fmt.Sprintf("status %d idle", i) {
					idles++
				}
			}
			if idles != 1 {
				t.Fatalf("seed %d: request %d was idle %d times; published %q", seed, i, idles, f.published)
			}
		}
		if len(f.replies) != n {
			t.Fatalf("seed %d: %d requests, replies %q", seed, n, f.replies)
		}
		if !slices.IsSorted(f.forwarded) {
			t.Fatalf("seed %d: forwarded %q", seed, f.forwarded)
		}
		if f.gate.current != nil || len(f.gate.inFlight) != 0 || len(f.gate.waiting) != 0 || f.gate.bytes != 0 {
			t.Fatalf("seed %d: the gate is left closed", seed)
		}
	}
}

type failed = talk.Failure

func failure(name string) *failed { return &failed{Name: name} }
