package bridge

import (
	"encoding/hex"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/metaml/metaml/kernel/sockets"
	"github.com/metaml/metaml/kernel/wire"
)

// linger is how long the sockets of a front end that left are kept for its return: a
// reply that comes meanwhile finds it again, as with ROUTER_HANDOVER.
const linger = 20 * time.Second

// client is one front-end identity and its sockets to the wrapped kernel.
type client struct {
	identity string

	mu      sync.Mutex
	sockets map[wire.Channel]*sockets.Peer
	leaving map[wire.Channel]*time.Timer
}

// clients maps identities to their sockets.
type clients struct {
	bridge *Bridge

	mu     sync.Mutex
	byName map[string]*client
	closed bool
}

func (cs *clients) get(identity string) *client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.byName[identity]
	if c == nil {
		c = &client{
			identity: identity,
			sockets:  map[wire.Channel]*sockets.Peer{}, leaving: map[wire.Channel]*time.Timer{},
		}
		cs.byName[identity] = c
	}
	return c
}

// find gives the client of an identity that has sent a signed message, or nil.
func (cs *clients) find(identity string) *client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.byName[identity]
}

// socket gives the client's socket of a channel, made when there is none.
func (c *client) socket(b *Bridge, ch wire.Channel) *sockets.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.leaving[ch]; t != nil {
		t.Stop()
		delete(c.leaving, ch)
	}
	if p := c.sockets[ch]; p != nil {
		return p
	}
	ready := b.subscribed
	if ch == wire.Shell && c.sockets[wire.Stdin] == nil {
		// ipykernel could not ask a front end whose stdin comes after its request.
		ready = make(chan struct{})
		c.sockets[wire.Stdin] = b.dial(c, wire.Stdin, b.subscribed, func() { close(ready) })
	}
	p := b.dial(c, ch, ready, nil)
	c.sockets[ch] = p
	return p
}

// gone begins the end of a channel's socket whose front end left.
func (cs *clients) gone(p *sockets.Peer, ch wire.Channel) {
	wait := linger
	if p.Anonymous {
		wait = 0
	}
	cs.mu.Lock()
	c := cs.byName[p.Identity]
	closed := cs.closed
	cs.mu.Unlock()
	if c == nil || closed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.leaving[ch]; t != nil {
		t.Stop()
	}
	c.leaving[ch] = time.AfterFunc(wait, func() { cs.drop(c, ch) })
}

func (cs *clients) drop(c *client, ch wire.Channel) {
	if cs.bridge.present(c.identity, ch) {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving[ch] == nil {
		return // it came back
	}
	delete(c.leaving, ch)
	c.closeLocked(ch)
	if ch == wire.Shell {
		c.closeLocked(wire.Stdin)
	}
	if len(c.sockets) == 0 && cs.byName[c.identity] == c {
		delete(cs.byName, c.identity)
	}
}

func (c *client) closeLocked(ch wire.Channel) {
	if p := c.sockets[ch]; p != nil {
		p.Close()
		delete(c.sockets, ch)
	}
}

// close ends all sockets and timers, for good.
func (cs *clients) close() {
	cs.mu.Lock()
	cs.closed = true
	cs.mu.Unlock()
	cs.dropAll()
}

// dropAll ends all sockets and timers.
func (cs *clients) dropAll() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.byName {
		c.mu.Lock()
		for _, t := range c.leaving {
			t.Stop()
		}
		for ch := range c.sockets {
			c.closeLocked(ch)
		}
		c.mu.Unlock()
	}
	cs.byName = map[string]*client{}
}

// dial connects a client's channel to the wrapped kernel under the client's identity.
func (b *Bridge) dial(c *client, ch wire.Channel, ready <-chan struct{}, connected func()) *sockets.Peer {
	network, address := b.child.Address(ch)
	return sockets.Dialer{
		Kind: zmq4.Dealer, Network: network, Address: address,
		Identity: childIdentity(c.identity), Ready: ready, Connected: connected,
		Message: func(frames [][]byte, _ *sockets.Fill) { b.fromChild(c, ch, frames) },
	}.Dial(b.ctx, &b.wg)
}

// childIdentity is the identity towards the wrapped kernel: the front end's own, so
// that ipykernel's parent_ident is what it would be; in hex where the library could
// not carry it.
func childIdentity(id string) string {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return "metaml-x" + hex.EncodeToString([]byte(id[:min(len(id), 120)]))
		}
	}
	return id
}

// all is every open socket to the wrapped kernel.
func (cs *clients) all() []*sockets.Peer {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var out []*sockets.Peer
	for _, c := range cs.byName {
		c.mu.Lock()
		for _, p := range c.sockets {
			out = append(out, p)
		}
		c.mu.Unlock()
	}
	return out
}

// unsent is one message that a wrapped kernel never got.
type unsent struct {
	client  *client
	channel wire.Channel
	frames  [][]byte
}

// unsent takes back what waits for a wrapped kernel that will not come.
func (cs *clients) unsent() []unsent {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var out []unsent
	for _, c := range cs.byName {
		c.mu.Lock()
		for ch, p := range c.sockets {
			for _, frames := range p.Unsent() {
				out = append(out, unsent{client: c, channel: ch, frames: frames})
			}
		}
		c.mu.Unlock()
	}
	return out
}
