package record

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	// server answers the first request with text, and nothing if it is "".
	server := func(text string) string {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil || r.URL.Path != "/readyz" || r.Host != "localhost" {
				t.Errorf("got the request %+v %v", r, err)
			}
			if text == "" {
				<-t.Context().Done()
			}
			_, _ = c.Write([]byte(text))
		}()
		return "http://" + l.Addr().String() + "/predict"
	}
	for _, c := range []struct {
		name, address string
		want          run.Health
	}{
		{"it answers", server("HTTP/1.1 200 OK\r\n\r\nok\n"), run.HealthReady},
		{"no worker is ready", server("HTTP/1.1 503 Service Unavailable\r\n\r\n"), run.HealthWaiting},
		{"another protocol", server("SSH-2.0-OpenSSH\r\n"), run.HealthSilent},
		{"half a line", server("HTTP/1.1 200"), run.HealthSilent},
		{"nobody listens", "http://127.0.0.1:1/predict", run.HealthSilent},
		{"no address", "://", run.HealthSilent},
		{"none", "", run.HealthSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Health(t.Context(), c.address); got != c.want {
				t.Errorf("%s is %s, want %s", c.address, got, c.want)
			}
		})
	}
	// Who requests the health of many servers waits for none of them longer than they want.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	if got := Health(ctx, server("")); got != run.HealthSilent {
		t.Errorf("one that says nothing is %s", got)
	}
}
