package cell

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/internal/talk"
)

// hold makes id a held cell of the client.
func (f *fixture) hold(client, id, code string) *Conversation {
	f.requestOf(client, id, "execute_request", code)
	talk := &Conversation{gate: f.gate, ending: f.t.Context(), parent: id, run: "train-1"}
	f.gate.begin(talk, id, true)
	f.gate.bound(talk, id, false)
	return talk
}

func TestReadingLinesGoPastAHeldCell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.requestOf("page", "a", "execute_request", "%%train\n")
		f.requestOf("page", "rest", "execute_request", "%metaml show last") // of a notebook that is run as a whole
		talk := &Conversation{}
		f.gate.begin(talk, "a", true)
		f.gate.bound(talk, "a", false)
		f.requestOf("page", "more", "execute_request", "%metaml show last")
		for id, code := range map[string]string{
			"statement": "1", "two lines": "%metaml runs\n1", "two lines, too": "1\n%metaml runs",
			"another verb": "%metaml resume x", "a train cell": "%%train\n",
		} {
			f.requestOf(id, id, "execute_request", code)
		}
		f.want("what waits", f.forwarded, "a")
		time.Sleep(together) //nolint:forbidigo // the bubble's clock
		f.requestOf("page", "runs", "execute_request", "%metaml runs\n")
		f.requestOf("page", "cell", "execute_request", "1")
		f.requestOf("page", "after the cell", "execute_request", "%metaml logs last")
		f.requestOf("other", "attach", "execute_request", " %metaml attach")
		f.want("what goes past", f.forwarded, "a", "runs", "attach")
		f.answer("runs", "ok", true)
		f.want("published", f.published, "status runs idle", "status a busy")
	})
}

func TestTwoHeldCells(t *testing.T) {
	f := newFixture(t)
	train := f.hold("page", "a", "%%train\n")
	f.answer("a", "ok", true)
	attach := f.hold("other", "b", "%metaml attach")
	f.answer("b", "ok", true)
	f.request("c", "execute_request", "1")
	f.gate.end(train, "a", nil)
	// The kernel is busy for as long as one of them is shown.
	f.want("the first ends", f.published, "status a idle", "status b busy")
	f.want("what waited goes on", f.forwarded, "a", "b", "c")
	f.gate.end(attach, "b", nil)
	f.want("the second ends", f.published, "status a idle", "status b busy", "status b idle")
	f.want("replies", f.replies, "a ok", "b ok")
}

// heard gives what a conversation sends its process.
func (t *Conversation) heard() <-chan string {
	read, write := io.Pipe()
	t.proc = &process{in: write}
	out := make(chan string, 8)
	go func() {
		for {
			buffer := make([]byte, 200)
			n, err := read.Read(buffer)
			if err != nil {
				close(out)
				return
			}
			out <- strings.TrimSpace(string(buffer[:n]))
		}
	}()
	return out
}

func TestAnInterruptOfARunThatNobodyWatchesLetsItGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		train, attach := f.hold("page", "a", "%%train\n"), f.hold("other", "b", "%metaml attach")
		f.answer("a", "ok", true)
		f.answer("b", "ok", true)
		toTrain, toAttach := train.heard(), attach.heard()
		f.gone = "page"
		f.requestOf("other", "c", "execute_request", "1")
		f.want("what waits gets the reason", f.published, "stream c ")
		f.gate.Interrupt()
		for want, got := range map[string]string{
			`{"v":1,"type":"detach"}`:           <-toTrain,
			`{"v":1,"type":"stop","now":false}`: <-toAttach,
		} {
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if len(f.notices) != 1 || !strings.Contains(f.notices[0], "%metaml attach train-1") {
			t.Errorf("notices %q", f.notices)
		}
		train.proc.closeInput()
		attach.proc.closeInput()
	})
}

func TestAnInterruptBesideAHeldCellIsTheOtherCells(t *testing.T) {
	f := newFixture(t)
	f.hold("page", "a", "%%train\n")
	f.answer("a", "ok", true)
	f.request("logs", "execute_request", "%metaml logs -f last")
	f.gate.Interrupt()
	if n := f.gate.holding[0].interrupts; n != 0 {
		t.Errorf("%d interrupts reached the run", n)
	}
	f.answer("logs", "ok", true)
	if f.gate.executing() {
		t.Error("an answered cell counts as one that is executed")
	}
}

// TestAModuleThatWaitsItselfLetsGoToo: a magic that is not alone is no held cell, and its stop comes from the module.
func TestAModuleThatWaitsItselfLetsGoToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.requestOf("page", "a", "execute_request", "for i in x: get_ipython().run_cell('%%train')")
		ours, theirs := net.Pipe()
		waits := &Conversation{gate: f.gate, py: ours, ending: context.Background(), parent: "a", run: "train-1"}
		heard := waits.heard()
		f.gone = "page"
		go waits.pyLines(talk.NewReader(ours), []byte(`{"type":"bound"}`+"\n"))
		<-heard
		_, _ = theirs.Write([]byte(`{"v":1,"type":"stop","now":false}` + "\n"))
		if got := <-heard; got != `{"v":1,"type":"detach"}` {
			t.Errorf("got %s", got)
		}
		if len(f.notices) != 1 {
			t.Errorf("notices %q", f.notices)
		}
		_ = theirs.Close()
		synctest.Wait()
	})
}

func TestReads(t *testing.T) {
	for code, want := range map[string]bool{
		"%metaml": true, "%metaml attach": true, "  %metaml logs -f last\n": true, "%metaml stop x": true,
		"%metaml delete x": false, "%metaml_x": false, "x = %metaml runs": false, "!ls": false, "": false,
	} {
		t.Run(fmt.Sprintf("%q", code), func(t *testing.T) {
			content, err := json.Marshal(map[string]string{"code": code})
			if err != nil {
				t.Fatal(err)
			}
			if reads(content) != want {
				t.Errorf("got %v", !want)
			}
		})
	}
}
