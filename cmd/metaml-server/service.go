package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// tryFor is how long one try may take.
const tryFor = 2 * time.Second

// quickFor is how long one may take at first. A network may drop what is sent to a Service that does not lead to the
// pod yet, and a connection that was begun then would be tried again by the kernel after a second, and after three.
const quickFor = 250 * time.Millisecond

// serviceTimes say how long the Service is tried.
type serviceTimes struct {
	quick   time.Duration // between two tries at first
	atFirst time.Duration // how long that is
	every   time.Duration // between two tries after that
	missed  time.Duration // after which it is said that the Service is not reached
	slowly  time.Duration // between two tries after that
	givenUp time.Duration // after which it is not tried any more
}

var usualTimes = serviceTimes{
	quick: 50 * time.Millisecond, atFirst: 5 * time.Second,
	every: 500 * time.Millisecond, missed: 20 * time.Second, slowly: 5 * time.Second, givenUp: 5 * time.Minute,
}

// tryService tries whether the server is reached through its Service, once its revision is ready, and says so in the
// log. It changes nothing else: not every network lets a pod reach its own Service.
func (s *server) tryService(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.output.ready:
	}
	say := func(text, hint string) {
		s.output.note(s.spec.Server.Revision, run.Note{Code: run.NoteService, Text: text, Hint: hint})
	}
	missed := false
	for began := time.Now(); time.Since(began) < s.times.givenUp; {
		may, pause := tryFor, s.times.every
		if time.Since(began) < s.times.atFirst {
			may, pause = quickFor, s.times.quick
		}
		err := visit(ctx, s.service.String(), may)
		if err == nil {
			say(pod.ReachedByService, "")
			return
		}
		if time.Since(began) >= s.times.missed {
			if pause = s.times.slowly; !missed {
				missed = true
				say(fmt.Sprintf("not reached through the Service at %s within %g s: %s", s.service,
					s.times.missed.Seconds(), why(err)),
					"It is tried for five minutes. A network policy may be in the way, or the cluster's network lets "+
						"no pod reach its own Service; the server itself answers.")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// visit asks at an address whether the server is ready.
func visit(ctx context.Context, at string, may time.Duration) error {
	client := &fasthttp.HostClient{
		Addr: at, MaxIdemponentCallAttempts: 1,
		Dial: func(address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: may}).DialContext(ctx, "tcp", address)
		},
	}
	defer client.CloseIdleConnections()
	request, answer := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(answer)
	request.SetRequestURI("http://" + client.Addr + "/readyz")
	request.UseHostHeader = true
	request.Header.SetHost("localhost") // which every server answers to
	request.SetConnectionClose()
	if err := client.DoTimeout(request, answer, may); err != nil {
		return err
	}
	if status := answer.StatusCode(); status != fasthttp.StatusOK {
		return fmt.Errorf("it was answered with %d", status)
	}
	return nil
}

// why says in a clause why something was not reached.
func why(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, fasthttp.ErrTimeout),
		errors.As(err, &network) && network.Timeout():
		return "nothing answered in time"
	}
	return err.Error()
}
