//go:build linux

// Package faultproxy is a TCP proxy on which things go wrong as they do on networks: connections are refused, made
// slowly, cut after so many bytes or at some moment, or become half-open; what is sent arrives late, in small pieces,
// or after what was sent later on another connection; and connections that are too old are ended, as load balancers end
// them, by a clock of the proxy's own, on which an hour may be a second. It does not look at what is sent: TLS goes
// through as it is.
//
// Read [Schedule] first, then [Start]. All that goes wrong follows from a seed, by the number of a connection and the
// time since it was made: the same seed has the same faults, as far as clients connect in the same order.
//
// github.com/Shopify/toxiproxy is not used. It can do most of that to single connections (latency, limit_data, timeout,
// reset_peer), but decides by random numbers without a seed, and alike for all connections of a proxy, knows neither
// refused connections nor an age, and is a server with Prometheus and a REST API.
//
// The package imports the standard library and golang.org/x/sys.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Proxy stands between clients and a server.
type Proxy struct {
	to       string
	schedule Schedule
	address  string
	reserved int // a socket that keeps the port while nobody listens
	cancel   context.CancelCauseFunc
	quiet    atomic.Bool
	all      sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil in an outage
	made     int          // connections so far
	open     map[*link]bool
	counts   map[Kind]int
}

// Counts says how often what went wrong.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Open is how many connections there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// These count what is not the fate of one connection.
const (
	Aged    Kind = "aged"    // connections that were too old
	Outages Kind = "outages" // times in which nobody listened
	Jitter  Kind = "jitter"  // connections whose chunks were held back
	Slow    Kind = "slow"    // connections that were made slowly
)

var errClosed = errors.New("the proxy was closed")

// Start has a port of this machine lead to a server, until ctx ends or the proxy is closed.
func Start(ctx context.Context, to string, s Schedule) (*Proxy, error) {
	fd, address, err := reserve()
	if err != nil {
		return nil, fmt.Errorf("reserve a port for the proxy to %s: %w", to, err)
	}
	p := &Proxy{
		to: to, schedule: s, address: address, reserved: fd, open: map[*link]bool{}, counts: map[Kind]int{},
	}
	ctx, p.cancel = context.WithCancelCause(ctx)
	if err := p.listen(ctx); err != nil {
		p.Close()
		return nil, err
	}
	if s.Outage != nil {
		p.all.Go(func() { p.outages(ctx) })
	}
	return p, nil
}

// Address is where clients connect to.
func (p *Proxy) Address() string { return p.address }

// Quiet has nothing go wrong from now on. What has gone wrong stays so: connections that are half-open do, and nobody
// tells their clients.
func (p *Proxy) Quiet() { p.quiet.Store(true) }

// Close ends all connections, and returns when nothing of the proxy is left.
func (p *Proxy) Close() {
	p.cancel(errClosed)
	p.mute()
	p.endAll(RST)
	p.all.Wait()
	_ = unix.Close(p.reserved)
}

// reserve binds a socket to a free port, and does not listen: connections are refused as long as nobody else does.
func reserve() (fd int, address string, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "", err
	}
	if err = shared(uintptr(fd)); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		var at unix.Sockaddr
		if at, err = unix.Getsockname(fd); err == nil {
			return fd, fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port), nil
		}
	}
	return -1, "", errors.Join(err, unix.Close(fd))
}

// shared lets several sockets of this process be bound to one port.
func shared(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// listen accepts connections until mute.
func (p *Proxy) listen(ctx context.Context) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = shared(fd) }); failed != nil {
			return failed
		}
		return err
	}}
	l, err := config.Listen(ctx, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("listen at %s for the proxy to %s: %w", p.address, p.to, err)
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			p.all.Go(func() { p.serve(ctx, c.(*net.TCPConn)) })
		}
	})
	if ctx.Err() != nil { // it was closed meanwhile
		p.mute()
	}
	return nil
}

// mute has connections refused.
func (p *Proxy) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// outages has nobody listen from time to time.
func (p *Proxy) outages(ctx context.Context) {
	random := rand.New(rand.NewPCG(p.schedule.Seed, 1))
	for n := 0; ; n++ {
		o := p.schedule.Outage(n, random)
		if !wait(ctx.Done(), o.Pause) || p.quiet.Load() {
			return
		}
		p.count(Outages)
		p.mute()
		if o.Cut != None {
			p.endAll(o.Cut)
		}
		if !wait(ctx.Done(), o.Lasts) || p.listen(ctx) != nil { // its clients find nobody, and say so
			return
		}
	}
}

// wait waits for a time. It reports whether nothing has ended meanwhile.
func wait(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ended:
		return false
	}
}

func (p *Proxy) count(k Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[k]++
}

// endAll ends the connections that are open.
func (p *Proxy) endAll(how Kind) {
	p.mu.Lock()
	var open []*link
	for l := range p.open {
		open = append(open, l)
	}
	p.mu.Unlock()
	for _, l := range open {
		l.end(how)
	}
}

// serve makes a connection to the server for a client's, and hands on what both send.
func (p *Proxy) serve(ctx context.Context, client *net.TCPConn) {
	p.mu.Lock()
	n := p.made
	p.made++
	p.mu.Unlock()
	random := rand.New(rand.NewPCG(p.schedule.Seed, uint64(n)+2))
	fate := Fate{Kind: None}
	if p.schedule.Fate != nil && !p.quiet.Load() {
		fate = p.schedule.Fate(n, random)
	}
	if fate.Chunk == 0 {
		fate.Chunk = 32 << 10 // all that is read at once
	}
	l := &link{proxy: p, fate: fate, client: client, ended: make(chan struct{})}
	p.mu.Lock()
	p.open[l] = true
	p.mu.Unlock()
	defer func() {
		l.end(None)
		p.mu.Lock()
		delete(p.open, l)
		p.mu.Unlock()
	}()
	if ctx.Err() != nil {
		return
	}
	switch fate.Kind {
	case Refuse:
		p.count(Refuse)
		l.end(RST)
		return
	case Silent:
		p.count(Silent)
		<-l.ended // what the client sends stays in the buffers of its connection
		return
	}
	if fate.Slow > 0 {
		p.count(Slow)
		if !wait(l.ended, fate.Slow) {
			return
		}
	}
	made, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		l.end(RST)
		return
	}
	if !l.connected(made.(*net.TCPConn)) {
		return
	}
	if fate.Jitter > 0 {
		p.count(Jitter)
	}
	l.handOn(random)
}

// link is a connection of a client with that to the server.
type link struct {
	proxy  *Proxy
	fate   Fate
	client *net.TCPConn
	ended  chan struct{}
	once   sync.Once

	mu        sync.Mutex
	server    *net.TCPConn
	passed    int           // bytes in both directions
	happened  bool          // what goes wrong has
	swallowed [2]bool       // what is sent does not arrive: by the client, by the server
	stalled   chan struct{} // is closed when something is handed on again; nil: it is
	forgotten bool
	timers    []*time.Timer
}

// connected notes the connection to the server. It reports whether somebody still wants it.
func (l *link) connected(server *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
		_ = server.Close() // nothing was sent
		return false
	default:
	}
	l.server = server
	l.timers = append(l.timers, time.AfterFunc(l.proxy.real(l.proxy.schedule.MaxAge), l.ages))
	if l.fate.After > 0 {
		l.timers = append(l.timers, time.AfterFunc(l.fate.After, l.happens))
	}
	return true
}

// real is how long a time of the proxy's clock takes. What has no end takes a year.
func (p *Proxy) real(d time.Duration) time.Duration {
	if d == 0 || p.schedule.Hour == 0 {
		return 365 * 24 * time.Hour
	}
	return time.Duration(d.Hours() * float64(p.schedule.Hour))
}

// ages ends a connection that is too old, as the proxy does that.
func (l *link) ages() {
	if l.proxy.quiet.Load() {
		return
	}
	l.proxy.count(Aged)
	l.end(l.fate.Age)
}

// happens has go wrong what is to go wrong.
func (l *link) happens() {
	l.mu.Lock()
	if l.happened || l.proxy.quiet.Load() {
		l.mu.Unlock()
		return
	}
	l.happened = true
	kind, lasts := l.fate.Kind, l.fate.Lasts
	switch kind {
	case Up, Down, Both:
		l.swallowed = [2]bool{kind != Down, kind != Up}
		if lasts > 0 {
			l.timers = append(l.timers, time.AfterFunc(lasts, func() { l.end(RST) }))
		}
	case Stall:
		on := make(chan struct{})
		l.stalled = on
		l.timers = append(l.timers, time.AfterFunc(lasts, func() { close(on) }))
	}
	l.mu.Unlock()
	if kind != None {
		l.proxy.count(kind)
	}
	switch kind {
	case FIN, RST, Forget:
		l.end(kind)
	}
}

// end ends the connection: by FIN, RST or Forget; None closes what both sides have closed.
func (l *link) end(how Kind) {
	l.mu.Lock()
	server := l.server
	switch {
	case how == Forget && server != nil:
		l.forgotten = true
		l.mu.Unlock()
		return
	case how == FIN && server != nil:
		// What comes after it is read and dropped: closing a connection with something unread would reset it.
		l.swallowed = [2]bool{true, true}
		l.mu.Unlock()
		_, _ = l.client.CloseWrite(), server.CloseWrite()
		return
	}
	for _, t := range l.timers {
		t.Stop()
	}
	l.once.Do(func() { close(l.ended) })
	l.mu.Unlock()
	for _, c := range []*net.TCPConn{l.client, server} {
		if c != nil {
			if how == RST {
				_ = c.SetLinger(0)
			}
			_ = c.Close() // what is left of it is reset, or was sent
		}
	}
}

// handOn hands on what both sides send, until both have ended or one is reset.
func (l *link) handOn(random *rand.Rand) {
	var both sync.WaitGroup
	for direction, ends := range [2][2]*net.TCPConn{{l.client, l.server}, {l.server, l.client}} {
		// Which of both sends first is nobody's choice: each has random numbers of its own.
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(direction)))
		both.Go(func() { l.copy(direction, ends[0], ends[1], own) })
	}
	both.Wait()
}

// copy hands on what is sent in one direction.
func (l *link) copy(direction int, from, to *net.TCPConn, random *rand.Rand) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.pass(direction, to, buffer[:n], random) {
			return
		}
		if err == nil {
			continue
		}
		if !l.open(direction) { // nobody hears of it
			return
		}
		if errors.Is(err, syscall.ECONNRESET) {
			l.end(RST)
			return
		}
		_ = to.CloseWrite()
		return
	}
}

// pass hands on what was read, and reports whether there may be more.
func (l *link) pass(direction int, to *net.TCPConn, read []byte, random *rand.Rand) bool {
	if jitter := l.fate.Jitter; jitter > 0 && !l.proxy.quiet.Load() &&
		!wait(l.ended, time.Duration(random.Int64N(int64(jitter)))) {
		return false
	}
	l.mu.Lock()
	before := len(read) // what goes through before something happens
	if l.fate.Bytes > 0 && !l.happened {
		before = min(before, max(0, l.fate.Bytes-l.passed))
	}
	l.passed += len(read)
	l.mu.Unlock()
	if !l.write(direction, to, read[:before]) {
		return false
	}
	if before == len(read) {
		return true
	}
	l.happens()
	return l.write(direction, to, read[before:])
}

// open reports whether what is sent in a direction arrives.
func (l *link) open(direction int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.swallowed[direction]
}

// write hands on a part of what was read, once nothing holds it back.
func (l *link) write(direction int, to *net.TCPConn, part []byte) bool {
	for chunk := range slices.Chunk(part, l.fate.Chunk) {
		l.mu.Lock()
		stalled, forgotten := l.stalled, l.forgotten
		l.mu.Unlock()
		if forgotten {
			l.end(RST)
			return false
		}
		if stalled != nil {
			select {
			case <-stalled:
			case <-l.ended:
				return false
			}
		}
		if !l.open(direction) {
			return true
		}
		if _, err := to.Write(chunk); err != nil && l.open(1-direction) {
			l.end(RST) // who sent it hears that nobody takes it
			return false
		}
	}
	return true
}
