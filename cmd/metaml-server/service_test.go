package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

func TestAServerTriesItsService(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn)
	c.flags = []string{"--service", fmt.Sprintf("127.0.0.1:%d", c.port)}
	c.start()
	c.await("the note", func() bool { return len(c.lines(run.EventNote)) > 0 })
	note := c.lines(run.EventNote)[0]
	if note.Code != run.NoteService || note.Text != "reached through the Service" || note.Revision != 3 {
		t.Errorf("%+v", note)
	}
	if len(c.lines(run.EventServerReady)) == 0 {
		t.Error("it tried its Service before it was ready")
	}
}

func TestAServiceThatIsNotReached(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	nobody := freePort(t)
	const short = time.Millisecond
	for _, c := range []struct {
		name, address, text string
		times               serviceTimes
		becomes             bool // something answers later
	}{
		{
			"nobody listens", fmt.Sprintf("127.0.0.1:%d", nobody), "the connection was refused",
			serviceTimes{every: short, missed: 20 * short, slowly: short, givenUp: patience},
			true,
		},
		{
			"nobody answers", silent.Addr().String(), "nothing answered in time",
			serviceTimes{every: short, missed: short, slowly: short, givenUp: time.Second},
			false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var errs printed
			s := newServer()
			s.output = newOutput(nil, &errs)
			close(s.output.ready)
			s.spec.Server = &run.ServerSpec{Revision: 2}
			s.service, s.times = netip.MustParseAddrPort(c.address), c.times
			tried := make(chan struct{})
			go func() {
				defer close(tried)
				s.tryService(t.Context())
			}()
			if c.becomes {
				for errs.String() == "" {
					<-time.After(time.Millisecond)
				}
				answers := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						if r.Host != "localhost" || r.URL.Path != "/readyz" {
							w.WriteHeader(http.StatusTeapot)
						}
					})}
				l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", c.address)
				if err != nil {
					t.Fatal(err)
				}
				go func() { _ = answers.Serve(l) }()
				defer answers.Close()
			}
			select {
			case <-tried:
			case <-time.After(patience):
				t.Fatalf("it goes on trying; it said %s", errs.String())
			}
			lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
			first, ok := pod.ParseLine([]byte(lines[0]))
			want := fmt.Sprintf("not reached through the Service at %s within %g s: %s", c.address,
				c.times.missed.Seconds(), c.text)
			if !ok || first.Code != run.NoteService || first.Text != want || first.Revision != 2 {
				t.Errorf("%+v, want %s", first, want)
			}
			if c.becomes != (len(lines) == 2 && strings.Contains(lines[1], "reached through the Service")) {
				t.Errorf("it said %q", lines)
			}
		})
	}
}
