package cell

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/kernel/wire"
)

// holdAs makes id a held cell of the client that names a cell of a notebook, and gives what its process is sent.
func (f *fixture) holdAs(client, id, cell, code string) (*Conversation, <-chan string) {
	f.t.Helper()
	m := f.message(id, "execute_request", "", map[string]string{"code": code})
	m.Frames[m.Start+4], _ = json.Marshal(map[string]string{"cellId": cell})
	f.gate.Request(client, m, wire.Header{ID: id, Type: "execute_request"})
	held := &Conversation{gate: f.gate, ending: f.t.Context(), parent: id, alone: true}
	held.note(talk.Relayed{Type: talk.TypeAccepted, Run: "train-1", Interrupt: "stop"})
	heard := held.heard()
	f.gate.begin(held, id, true)
	f.gate.Input(id, 7)
	f.gate.bound(held, id, false)
	f.answer(id, "ok", true)
	f.t.Cleanup(func() { held.proc.closeInput() })
	return held, heard
}

const lets = `{"v":1,"type":"detach"}`

func TestAPageThatIsLoadedAgainIsToldWhatItsCellsShow(t *testing.T) {
	f := newFixture(t)
	if shown := f.gate.Shown(); shown != nil {
		t.Errorf("an idle kernel shows %v", shown)
	}
	f.holdAs("page", "a", "cell-1", "%%train\n")
	f.hold("console", "b", "%metaml attach") // of no notebook
	f.gone = "page"
	want := Shown{CellID: "cell-1", Run: "train-1", Interrupt: "stop", Count: 7}
	if diff := cmp.Diff([]Shown{want}, f.gate.Shown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.holdAs("page again", "c", "cell-1", "%metaml attach train-1")
	want.Watched = true
	if diff := cmp.Diff([]Shown{want}, f.gate.Shown()); diff != "" {
		t.Errorf("shown again (-want +got):\n%s", diff)
	}
}

func TestAnInterruptIsForTheCellThatIsShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		train, toTrain := f.holdAs("page", "a", "cell-1", "%%train\n")
		f.gone = "page"
		attach, toAttach := f.holdAs("page again", "b", "cell-1", "%metaml attach train-1")
		f.requestOf("page again", "c", "execute_request", "1")
		f.want("what waits needs no word", f.published)
		f.gate.Interrupt()
		if got := <-toAttach; got != `{"v":1,"type":"stop","now":false}` {
			t.Errorf("the cell that is shown is sent %s", got)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		select {
		case got := <-toTrain:
			t.Errorf("the cell whose page is gone is sent %s", got)
		default:
		}
		if len(f.notices) > 0 {
			t.Errorf("notices %q", f.notices)
		}
		// Where the interrupt ends the cell and not the run, nothing holds the kernel any longer.
		f.gate.end(attach, "b", failure("Detached"))
		if got := <-toTrain; got != lets {
			t.Errorf("the cell whose page is gone is sent %s", got)
		}
		f.gate.end(train, "a", failure("Detached"))
		train.proc.closeInput()
		attach.proc.closeInput()
	})
}

func TestEachPageThatIsLoadedAgainTakesThePlaceOfTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		train, toTrain := f.holdAs("page", "a", "cell-1", "%%train\n")
		f.gone = "page"
		second, toSecond := f.holdAs("second", "b", "cell-1", "%metaml attach train-1")
		other, toOther := f.holdAs("second", "c", "cell-2", "%metaml attach train-1")
		f.gone = "second"
		third, _ := f.holdAs("third", "d", "cell-1", "%metaml attach train-1")
		if got := <-toSecond; got != lets {
			t.Errorf("the line of the page before is sent %s", got)
		}
		synctest.Wait()
		select {
		case got := <-toTrain:
			t.Errorf("the cell itself is sent %s", got)
		case got := <-toOther:
			t.Errorf("another cell is sent %s", got)
		default:
		}
		for _, talk := range []*Conversation{train, second, other, third} {
			talk.proc.closeInput()
		}
	})
}
