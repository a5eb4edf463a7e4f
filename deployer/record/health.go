package record

import (
	"bufio"
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// healthPatience is how long a server may take to say whether it can answer. Its front says that itself, in less than a
// millisecond.
const healthPatience = time.Second

// Health requests of a server, at the address of its endpoint, whether it can answer now. One line of the answer says
// it, for which net/http would make metaml larger by megabytes.
func Health(ctx context.Context, address string) run.Health {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return run.HealthSilent
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return run.HealthSilent
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// A front knows this name whatever address it listens on.
	if _, err := conn.Write([]byte("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: " +
		"close\r\n\r\n")); err != nil {
		return run.HealthSilent
	}
	line, err := bufio.NewReaderSize(conn, 256).ReadString('\n')
	switch {
	case err != nil || !strings.HasPrefix(line, "HTTP/1.1 "):
		return run.HealthSilent
	case strings.HasPrefix(line, "HTTP/1.1 200 "):
		return run.HealthReady
	default:
		return run.HealthWaiting
	}
}
