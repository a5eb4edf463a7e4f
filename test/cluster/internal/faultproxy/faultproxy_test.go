//go:build linux

package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that answers with what it gets, and notes what that was.
type echo struct {
	net.Listener
	all sync.WaitGroup
	mu  sync.Mutex
	got bytes.Buffer
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l}
	e.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, io.TeeReader(c, e)) // the client ends it
			})
		}
	})
	t.Cleanup(func() { // after the proxy
		l.Close()
		e.all.Wait()
	})
	return e
}

func (e *echo) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.Write(p)
}

func (e *echo) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.String()
}

// start has a proxy whose connections have these fates, in their order, and whose later ones have none.
func start(t *testing.T, to string, s Schedule, fates ...Fate) *Proxy {
	t.Helper()
	if len(fates) > 0 {
		s.Fate = func(n int, _ *rand.Rand) Fate {
			if n < len(fates) {
				return fates[n]
			}
			return Fate{Kind: None}
		}
	}
	p, err := Start(t.Context(), to, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if n := p.Open(); n > 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Address(), long)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// says sends a text, which may fail where the connection is to end.
func says(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

// hears reads until the connection ends, or nothing has come for a while.
func hears(t *testing.T, c net.Conn, within time.Duration) (text string, err error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(c)
	return string(data), err
}

// gets reads a text.
func gets(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %.20q, want %.20q: %v", got, text, err)
	}
}

const long = 10 * time.Second // what is to come at once never takes so long

func TestFaults(t *testing.T) {
	t.Parallel()
	const soon = 50 * time.Millisecond // what comes although it should not has come by then
	for _, c := range []struct {
		name   string
		fate   Fate
		within time.Duration
		hears  string // of the answer "abcdef"
		ends   error  // nil: as a server ends it
		heard  string // by the server
	}{
		{"refused", Fate{Kind: Refuse}, long, "", syscall.ECONNRESET, ""},
		{"silent", Fate{Kind: Silent}, soon, "", os.ErrDeadlineExceeded, ""},
		{"closed in the request", Fate{Kind: FIN, Bytes: 2}, long, "", nil, "ab"},
		{"closed in the answer", Fate{Kind: FIN, Bytes: 8}, long, "ab", nil, "abcdef"},
		{"reset in the request", Fate{Kind: RST, Bytes: 2}, long, "", syscall.ECONNRESET, ""},
		{"the request is swallowed", Fate{Kind: Up, Bytes: 2}, soon, "ab", os.ErrDeadlineExceeded, "ab"},
		{"the answer is swallowed", Fate{Kind: Down, Bytes: 8}, soon, "ab", os.ErrDeadlineExceeded, "abcdef"},
		{"both are swallowed", Fate{Kind: Both, Bytes: 8}, soon, "ab", os.ErrDeadlineExceeded, "abcdef"},
		{"swallowed for a time", Fate{Kind: Both, Bytes: 8, Lasts: 1}, long, "ab", syscall.ECONNRESET, "abcdef"},
		{"stalled", Fate{Kind: Stall, Bytes: 8, Lasts: time.Hour}, soon, "ab", os.ErrDeadlineExceeded, "abcdef"},
		{"forgotten", Fate{Kind: Forget, Bytes: 2}, long, "", syscall.ECONNRESET, ""},
		{"reset after a time", Fate{Kind: RST, After: time.Millisecond}, long, "", syscall.ECONNRESET, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEcho(t)
			p := start(t, e.Addr().String(), Schedule{}, c.fate)
			client, err := net.DialTimeout("tcp", p.Address(), long)
			got := ""
			if err == nil { // else it was reset already
				defer client.Close()
				_, err = client.Write([]byte("abcdef"))
				if err == nil { // else that has the reset, and reading would find the end alone
					got, err = hears(t, client, c.within)
				}
			}
			if errors.Is(err, syscall.EPIPE) {
				err = syscall.ECONNRESET
			}
			// The answer to the part of a request that arrived may come before the end.
			early := c.hears == "" && got != "" && got == c.heard
			if !errors.Is(c.ends, syscall.ECONNRESET) && got != c.hears && !early || !errors.Is(err, c.ends) {
				t.Errorf("heard %q and %v, want %q and %v", got, err, c.hears, c.ends)
			}
			for end := time.Now().Add(long); c.heard != "" && e.heard() != c.heard; <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the server heard %q, want %q", e.heard(), c.heard)
				}
			}
			if n := p.Counts()[c.fate.Kind]; n != 1 {
				t.Errorf("it is counted %d times", n)
			}
			// The next connection is another one.
			next := dial(t, p)
			says(next, "next")
			gets(t, next, "next")
		})
	}
}

func TestWhatIsNotCutComesWhole(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for name, fate := range map[string]Fate{
		"as it is":     {Kind: None},
		"in pieces":    {Kind: None, Chunk: 100},
		"late":         {Kind: None, Jitter: time.Millisecond},
		"slow to make": {Kind: None, Slow: time.Millisecond},
		"stalled":      {Kind: Stall, Bytes: 1000, Lasts: 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, start(t, newEcho(t).Addr().String(), Schedule{}, fate))
			var sent sync.WaitGroup
			sent.Go(func() {
				says(c, string(data))
				_ = c.CloseWrite()
			})
			got, err := hears(t, c, long)
			sent.Wait()
			if err != nil || got != string(data) {
				t.Errorf("%d bytes of %d came back, %v", len(got), len(data), err)
			}
		})
	}
}

// A connection that is held back is overtaken by one that was made later.
func TestAnswersChangePlaces(t *testing.T) {
	t.Parallel()
	p := start(t, newEcho(t).Addr().String(), Schedule{}, Fate{Kind: Stall, Bytes: 1, Lasts: 200 * time.Millisecond})
	first := dial(t, p)
	says(first, "first")
	began := time.Now()
	second := dial(t, p)
	says(second, "second")
	gets(t, second, "second")
	gets(t, first, "first")
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("the first was answered after %s", took)
	}
}

func TestOldConnectionsEnd(t *testing.T) {
	t.Parallel()
	for _, how := range []Kind{FIN, RST, Forget} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			s := Schedule{Hour: 20 * time.Millisecond, MaxAge: 3 * time.Hour}
			p := start(t, newEcho(t).Addr().String(), s, Fate{Kind: None, Age: how})
			began := time.Now()
			c := dial(t, p)
			var err error
			if how == Forget { // until then it is answered
				for err == nil {
					says(c, "x")
					if err = c.SetReadDeadline(time.Now().Add(long)); err == nil {
						_, err = c.Read(make([]byte, 1))
					}
				}
			} else {
				_, err = hears(t, c, long)
			}
			if took := time.Since(began); took < 60*time.Millisecond {
				t.Errorf("it ended after %s", took)
			}
			if how == FIN && err != nil || how != FIN && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("it ended by %v", err)
			}
			if p.Counts()[Aged] != 1 {
				t.Errorf("counted are %v", p.Counts())
			}
		})
	}
}

func TestNobodyListensInAnOutage(t *testing.T) {
	t.Parallel()
	listens := make(chan struct{})
	s := Schedule{Outage: func(n int, _ *rand.Rand) Outage {
		if n > 0 {
			close(listens)
			return Outage{Pause: time.Hour}
		}
		return Outage{Pause: 20 * time.Millisecond, Lasts: 200 * time.Millisecond, Cut: RST}
	}}
	p := start(t, newEcho(t).Addr().String(), s)
	before := dial(t, p)
	says(before, "before")
	gets(t, before, "before")
	if _, err := hears(t, before, long); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("what was open ended by %v", err)
	}
	if c, err := net.Dial("tcp", p.Address()); err == nil {
		c.Close()
		select {
		case <-listens: // this machine is slow
		default:
			t.Error("somebody listens")
		}
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	<-listens
	after := dial(t, p)
	says(after, "after")
	gets(t, after, "after")
}

// Nothing goes wrong any more, and what is half-open stays so.
func TestQuiet(t *testing.T) {
	t.Parallel()
	p := start(t, newEcho(t).Addr().String(), Schedule{},
		Fate{Kind: Both, Bytes: 5}, Fate{Kind: RST, Bytes: 20}, Fate{Kind: Refuse})
	half := dial(t, p)
	says(half, "half")
	gets(t, half, "h")
	other := dial(t, p)
	says(other, "other")
	gets(t, other, "other")
	p.Quiet()
	says(other, "goes on and on")
	gets(t, other, "goes on and on")
	third := dial(t, p)
	says(third, "third")
	gets(t, third, "third")
	if got, err := hears(t, half, 50*time.Millisecond); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v", got, err)
	}
}

func TestASeedHasItsFaults(t *testing.T) {
	t.Parallel()
	fates := func(seed uint64) (all []Fate) {
		s := Rough(seed)
		for n := range 1000 {
			all = append(all, s.Fate(n, rand.New(rand.NewPCG(s.Seed, uint64(n)+2))))
		}
		return all
	}
	one := fates(1)
	if !reflect.DeepEqual(one, fates(1)) || reflect.DeepEqual(one, fates(2)) {
		t.Error("a seed does not say what happens")
	}
	kinds := map[Kind]int{}
	for _, f := range one {
		kinds[f.Kind]++
	}
	for _, k := range []Kind{None, Refuse, Silent, FIN, RST, Up, Down, Both, Stall, Forget} {
		if kinds[k] == 0 {
			t.Errorf("of a thousand connections none has %q: %v", k, kinds)
		}
	}
}
