package mirror

import (
	"errors"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// The server of these tests has no connection to a cluster: whatever is requested there ends the test.
func TestWhoIsNotToBeReachedFromOutsideAsksTheClusterNothing(t *testing.T) {
	outside := &run.ServerSpec{Revision: 1, Path: "/predict", Expose: true}
	was := run.Public{URL: "http://203.0.113.7/predict"}
	for _, c := range []struct {
		name  string
		spec  *run.ServerSpec
		is    run.Server
		event bool
	}{
		{"a server of its cluster alone", &run.ServerSpec{Revision: 1}, run.Server{Revision: 1}, false},
		{"one that was reached", &run.ServerSpec{Revision: 1}, run.Server{Revision: 1, Public: was}, true},
		{"one that starts", outside, run.Server{Starting: 1}, false},
		{"one that gets another revision", outside, run.Server{Revision: 1, Starting: 2}, false},
		{"one whose revision failed", outside, run.Server{Failed: &run.RevisionFailure{Revision: 1}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newServerWorld(t)
			w.spec, w.plans.state.Server = c.spec, &c.is
			v := &server{mirror: &mirror{}, plans: *w.plans}
			for i := range 2 { // what was said once is not said again
				got := v.reached(t.Context(), &w.serverSeen)
				if said := len(got) == 1 && got[0].Type == run.EventServerPublic && got[0].Address == ""; said !=
					(c.event && i == 0) {
					t.Errorf("it is noted %+v", got)
				}
			}
		})
	}
}

func TestWhatARecordSaysOfHowAServerIsReached(t *testing.T) {
	w := newServerWorld(t)
	waits := run.Public{Text: "it waits for an address", Waits: true}
	for _, is := range []run.Public{waits, {URL: "http://203.0.113.7/predict"}, {}} {
		if got := w.plans.public(is); len(got) != 1 || w.plans.state.Server.Public != is {
			t.Errorf("of %+v it is noted %+v, and known %+v", is, got, w.plans.state.Server.Public)
		}
		if got := w.plans.public(is); len(got) > 0 {
			t.Errorf("%+v is noted again", got)
		}
	}
}

func TestWhatAClusterRefusesIsSaid(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a name that is taken", usererror.New(usererror.CodeName, "it is taken"), "it is taken"},
		{"an admission rule", usererror.New(usererror.CodeRefused, "no"), "no"},
		{"no answer", usererror.New(usererror.CodeUnreachable, "it is away"), ""},
		{"anything else", errors.New("odd"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := refusal(c.err); got != c.want {
				t.Errorf("it says %q", got)
			}
		})
	}
}
