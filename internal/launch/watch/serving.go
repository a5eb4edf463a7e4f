package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// serving is a revision of a server that is watched until it is ready, or never will be. It is ready when an event
// says so after watching began, or when it answers a request; what is dead is started again by following it. An
// interrupt gives the revision up: one that would replace another leaves that one alone.
type serving struct {
	client    *deployer.Client
	spec      run.Spec
	state     *run.State
	facts     view.ServerFacts
	proof     *proof
	past      int64 // number of the last event of an earlier life of the server, which is not what is waited for
	interrupt string
	ready     bool
	givenUp   bool // through this watch
}

func newServing(ctx context.Context, client *deployer.Client, spec run.Spec, o Options) (subject, error) {
	listed, err := client.Runs.Load(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	s := &serving{
		client: client, spec: spec, state: run.NewState(spec), proof: newProof(ctx, client, spec),
		interrupt: o.Interrupt,
		facts:     view.ServerFacts{Spec: spec, Remarks: o.Remarks, Waiting: o.Interrupt != ""},
	}
	if listed.State != nil {
		s.past = listed.State.N
	}
	return s, nil
}

func (s *serving) first() bool           { return false } // before the past is read it would look like a new one
func (s *serving) idle() time.Duration   { return refresh }
func (s *serving) answered() <-chan bool { return s.proof.answers }
func (s *serving) take(answers bool)     { s.proof.take(answers) }

func (s *serving) apply(e run.Event) {
	s.state.Apply(e)
	s.proof.see(e, s.past)
}

// saidReady reports whether the events say that the revision, or a later one, answers.
func (s *serving) saidReady() bool {
	return !s.state.Phase.Final() && s.state.Server.Answering() >= s.spec.Server.Revision
}

func (s *serving) decided() bool {
	if s.state.N < s.past {
		return false
	}
	v := s.state.Server
	if s.ready = s.saidReady(); s.ready && !s.proof.given {
		s.proof.request()
		s.ready = false
	}
	// Where no other revision answers, the end of the run follows, and only then can it be deleted.
	failed := v.Failed != nil && v.Failed.Revision >= s.spec.Server.Revision && v.Revision > 0
	return s.ready || s.state.Phase.Final() || failed
}

func (s *serving) draw(now time.Time) (Drawing, []*Failure) {
	if s.facts.Again = s.saidReady() && !s.proof.given; s.facts.Again {
		s.proof.request()
	}
	return view.NewPanel(s.facts, s.state, now), nil
}

func (s *serving) request(ctx context.Context, r Request) (detached bool, err error) {
	if r.detaches(s.interrupt) || s.saidReady() { // what had answered is not given up
		return true, nil
	}
	if s.state.Server.Answering() > 0 {
		err = s.client.StopRevision(ctx, s.spec.Name, s.spec.Server.Revision)
	} else {
		err = s.client.Stop(ctx, s.spec.Name, nil, r == Now || s.givenUp)
	}
	if hasEnded(err) {
		return false, nil
	}
	s.givenUp = s.givenUp || err == nil
	return false, err
}

func (s *serving) end(detached bool) End {
	name, end := s.spec.Name, End{State: s.state}
	switch answering := s.state.Server.Answering(); {
	case detached:
		end.Ending = Detached
		end.Text = fmt.Sprintf(
			"%s goes on starting; `%%metaml attach %s` shows it, `%%metaml stop %s` stops it", name, name, name)
	case s.ready:
	case s.givenUp:
		end.Ending, end.Text = Interrupted, name+" was given up before it was ready"
		if answering > 0 {
			end.Text = fmt.Sprintf("revision %d of %s was given up; revision %d goes on answering",
				s.spec.Server.Revision, name, s.state.Server.Revision)
		}
	case s.state.Phase == run.Stopped:
		end.Ending, end.Text = Stopped, name+" was stopped"
	default:
		end.Ending = ServerFailed
		end.Text = fmt.Sprintf("%s: %s", name, view.ServerCause(s.state, s.spec.Server.Revision))
		if n := s.state.Server.Revision; n > 0 && !s.state.Phase.Final() {
			end.Text += fmt.Sprintf("; revision %d goes on answering", n)
		}
		if body := view.ServerFailure(s.state.Server.Failed); body != "" {
			end.Traceback = strings.Split(body, "\n")
		}
	}
	return end
}
