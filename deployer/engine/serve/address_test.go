package serve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/port"
	"github.com/metaml/metaml/deployer/run"
)

func serving(host string, port int) run.Spec {
	return run.Spec{
		Name: "serve-1", Series: "serve", Server: &run.ServerSpec{
			Revision: 1, Host: host, Port: port, Path: "/predict",
		},
	}
}

func TestAServerThatAsksForNoPortGetsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	spec := serving("", 0)
	spec.Source = t.Name()
	first, err := listen(t.Context(), newVersion(spec), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	if p := first.port(); p < port.First || p > port.Last {
		t.Errorf("port %d", p)
	}
	second, err := listen(t.Context(), newVersion(spec), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if second.port() == first.port() {
		t.Error("two on one port")
	}
	port := first.port()
	first.close()
	again, err := listen(t.Context(), newVersion(spec), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if again.port() != port {
		t.Errorf("port %d, and %d before", again.port(), port)
	}
	// What it had last comes first, wherever that is.
	used := second.port()
	second.close()
	last, err := listen(t.Context(), newVersion(spec), used)
	if err != nil {
		t.Fatal(err)
	}
	defer last.close()
	if last.port() != used {
		t.Errorf("port %d, and %d was used last", last.port(), used)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(machine, ".")
	for host, others := range map[string]bool{
		"": false, "127.0.0.1": false, "localhost": false, "::1": false, "0.0.0.0": true, "::": true, "192.0.2.7": true,
	} {
		t.Run(fmt.Sprintf("%q", host), func(t *testing.T) {
			t.Parallel()
			spec := serving(host, 0)
			spec.Server.Hosts = []string{"hub.example"}
			hosts, addresses := names(spec, hostOf(spec))
			if addresses != others || slices.Contains(hosts, machine) != others ||
				slices.Contains(hosts, short) != others {
				t.Errorf("known by %q, by any address: %v", hosts, addresses)
			}
			if !slices.Contains(hosts, "hub.example") || host != "" && !slices.Contains(hosts, host) ||
				slices.Contains(hosts, "") {
				t.Errorf("known by %q", hosts)
			}
		})
	}
}

// A front whose monitor was killed may hold the port a little longer.
func TestAPortThatIsGivenUpSoonIsWaitedFor(t *testing.T) {
	t.Parallel()
	held, err := bind(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = listen(t.Context(), newVersion(serving("127.0.0.1", held.port())), 0)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that somebody else has: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, held.close)
	l, err := listen(t.Context(), newVersion(serving("127.0.0.1", held.port())), held.port())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if l.port() != held.port() || !l.matches(newVersion(serving("localhost", 0))) ||
		l.matches(newVersion(serving("0.0.0.0", 0))) || l.matches(newVersion(serving("", 1))) {
		t.Errorf("%+v", l)
	}
}

func TestASocketIsHandedOver(t *testing.T) {
	t.Parallel()
	l, err := bind(t.Context(), "0.0.0.0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	waiting, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", l.address[len("0.0.0.0:"):]))
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	again, err := adopt(l.file)
	if err != nil || again.address != l.address {
		t.Fatalf("%v %+v", err, again)
	}
	taken, err := net.FileListener(again.file)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	conn, err := taken.Accept() // the one that waited meanwhile
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, want := l.url("/p"), "http://"+waiting.RemoteAddr().String()+"/p"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
