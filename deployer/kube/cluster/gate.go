package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// gate stands before all requests of a connection. It sees to it that the program of a login is executed once at a
// time, however many requests need the login, since each time may open a browser. A connection that is guarded sends
// nothing while the login does not work, but what is sent to try it.
type gate struct {
	next    http.RoundTripper // logs in and sends
	login   http.RoundTripper // logs in alone, by a program; nil: another way
	program string            // of the login
	turn    chan struct{}     // who logs in has the one that is in it

	mu      sync.Mutex
	guarded bool
	changed func()   // it was opened or shut
	shut    *refusal // the login did not work; nil: it works, or was not tried yet
	stale   bool     // the cluster refused the login that the program gave last
	renewed int      // times that the program was asked for another one therefore
}

// refusal is why a login does not work.
type refusal struct {
	err error // of its program; nil: the cluster does not accept it
}

// answer is what a request gets that is not sent, or is refused.
func (r *refusal) answer(q *http.Request) (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	return unauthorized(q), nil
}

func unauthorized(q *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusUnauthorized, Status: "401 Unauthorized", Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: q,
	}
}

// transport answers requests.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(q *http.Request) (*http.Response, error) { return t(q) }

// errNotAccepted stands for the answer 401 on its way through client-go, which would execute the program of a login for
// each request that is answered so.
var errNotAccepted = errors.New("the login is not accepted")

// newGate gives the gate of the connections that a configuration leads to.
func newGate(to *rest.Config) (*gate, error) {
	g := &gate{turn: make(chan struct{}, 1), changed: func() {}}
	if to.ExecProvider != nil {
		g.program = to.ExecProvider.Command
		config, err := to.TransportConfig()
		if err != nil {
			return nil, err
		}
		g.login = config.WrapTransport(transport(func(q *http.Request) (*http.Response, error) {
			if q.Context().Value(renewing{}) != nil {
				return unauthorized(q), nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: q}, nil
		}))
	}
	// It is the first to see an answer: what is wrapped around it later logs in.
	to.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(q *http.Request) (*http.Response, error) {
			r, err := next.RoundTrip(q)
			if err == nil && r.StatusCode == http.StatusUnauthorized {
				return nil, errors.Join(errNotAccepted, r.Body.Close())
			}
			return r, err
		})
	})
	var err error
	g.next, err = rest.TransportFor(to)
	return g, err
}

type (
	trying   struct{} // marks a request that tries the login
	renewing struct{} // marks what asks a program for another login than it gave before
)

// RoundTrip sends a request once there is a login for it.
func (g *gate) RoundTrip(q *http.Request) (*http.Response, error) { return g.send(q, g.next) }

// send sends a request once there is a login for it, by what logs in and sends as that of the gate does.
func (g *gate) send(q *http.Request, next http.RoundTripper) (*http.Response, error) {
	tries := q.Context().Value(trying{}) != nil
	if r := g.refused(); r != nil && !tries {
		return r.answer(q)
	}
	if r := g.logIn(q.Context(), tries); r != nil {
		return r.answer(q)
	}
	g.mu.Lock()
	renewed := g.renewed
	g.mu.Unlock()
	answer, err := next.RoundTrip(q)
	switch {
	case errors.Is(err, errNotAccepted):
		g.notAccepted(renewed)
		return unauthorized(q), nil
	case err == nil && tries:
		g.set(nil)
	}
	return answer, err
}

// logIn has the program of the login executed, if there is one and it must be. The program may wait for somebody, and
// outlast the request.
func (g *gate) logIn(ctx context.Context, tries bool) *refusal {
	if g.login == nil {
		return nil
	}
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return g.waits()
	}
	ended := make(chan *refusal, 1)
	go func() { // ends with the program, or with this process
		defer func() { <-g.turn }()
		r, refused := g.execute(context.WithoutCancel(ctx), tries)
		if refused {
			ended <- r
			return
		}
		if was := g.refused(); r != nil || was != nil && was.err != nil {
			g.set(r)
		}
		ended <- r
	}()
	select {
	case r := <-ended:
		return r
	case <-ctx.Done():
		return g.waits()
	}
}

// execute has client-go see to it that there is a login, and another one if the cluster refused the last. refused says
// that it did not: nothing is sent but what tries the login, since that of another request has failed meanwhile.
func (g *gate) execute(ctx context.Context, tries bool) (r *refusal, refused bool) {
	g.mu.Lock()
	if g.guarded && g.shut != nil && !tries {
		defer g.mu.Unlock()
		return g.shut, true
	}
	stale := g.stale
	if stale {
		g.stale = false
		g.renewed++
	}
	g.mu.Unlock()
	if stale {
		if r := g.ask(context.WithValue(ctx, renewing{}, true)); r != nil {
			return r, false
		}
	}
	return g.ask(ctx), false
}

// ask sends what needs a login and goes nowhere.
func (g *gate) ask(ctx context.Context) *refusal {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://login.invalid", http.NoBody)
	if err != nil {
		return &refusal{err}
	}
	answer, err := g.login.RoundTrip(q)
	if err != nil {
		return &refusal{err}
	}
	_ = answer.Body.Close() // it is empty
	return nil
}

// waits says that the program of the login has not ended, in the words of client-go for one that has failed.
func (g *gate) waits() *refusal {
	return &refusal{fmt.Errorf("getting credentials: exec: %s has not ended yet; it may wait for you", g.program)}
}

// notAccepted notes that the cluster refused the login that was renewed so often.
func (g *gate) notAccepted(renewed int) {
	g.mu.Lock()
	if g.renewed != renewed { // there is another one since
		g.mu.Unlock()
		return
	}
	// Both at once: who saw the one alone would have another login made.
	was, changed := g.shut, g.changed
	g.stale, g.shut = true, &refusal{}
	g.mu.Unlock()
	if was == nil {
		changed()
	}
}

// refused is why nothing is sent, or nil.
func (g *gate) refused() *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.guarded {
		return nil
	}
	return g.shut
}

func (g *gate) set(r *refusal) {
	g.mu.Lock()
	was, changed := g.shut, g.changed
	g.shut = r
	g.mu.Unlock()
	if (was == nil) != (r == nil) {
		changed()
	}
}

// Guard has the connection send nothing while the login does not work, but what is sent to try it (see [Try]): each
// request might open a browser. changed is called when that begins and ends.
func (c *Cluster) Guard(changed func()) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.guarded, c.gate.changed = true, changed
}

// Try marks what is sent to find out whether the login works.
func Try(ctx context.Context) context.Context { return context.WithValue(ctx, trying{}, true) }

// LoggingIn reports whether the program of the login is being executed. It may wait for somebody; another connection
// would execute it again.
func (c *Cluster) LoggingIn() bool { return len(c.gate.turn) > 0 }

// Shut is why a connection that is guarded sends nothing, or nil.
func (c *Cluster) Shut() error {
	r := c.gate.refused()
	switch {
	case r == nil:
		return nil
	case r.err != nil:
		return r.err
	}
	return apierrors.NewUnauthorized("")
}
