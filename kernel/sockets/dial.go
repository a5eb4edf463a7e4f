package sockets

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// dialEvery is how often a socket that is not there yet is tried.
const dialEvery = 2 * time.Millisecond

// Dialer connects to the wrapped kernel. Its sizes are believed.
type Dialer struct {
	Kind             zmq4.SocketType // DEALER or SUB
	Network, Address string
	Identity         string
	// Ready, when not nil, is waited for before connecting.
	Ready <-chan struct{}
	// Connected, when not nil, is called after the handshake.
	Connected func()
	// Message is called by the connection's reader, in order. With a Fill (a SUB
	// only) the last frame is read after the call returns.
	Message func([][]byte, *Fill)
}

// Dial returns a peer at once and connects it in the background, trying until ctx
// ends. Messages wait in its queue meanwhile. There is no second connection: when
// the wrapped kernel is gone it stays gone. A SUB subscribes to everything.
// wg counts the goroutine that owns the connection.
func (d Dialer) Dial(ctx context.Context, wg *sync.WaitGroup) *Peer {
	p := newPeer()
	p.Identity = d.Identity
	wg.Go(func() {
		err := d.run(ctx, p)
		p.fail(err)
	})
	return p
}

func (d Dialer) run(ctx context.Context, p *Peer) error {
	stop := context.AfterFunc(ctx, func() { p.fail(context.Cause(ctx)) })
	defer stop()
	if d.Ready != nil {
		select {
		case <-d.Ready:
		case <-p.done:
			return p.Err()
		}
	}
	c, err := d.connect(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := p.greet(c); err != nil {
		return err
	}
	_, r, err := handshake(c, d.Kind, d.Identity, false)
	if err != nil {
		return fmt.Errorf("connect to the wrapped kernel at %s: %w", d.Address, err)
	}
	if d.Kind == zmq4.Sub {
		if _, err := c.Write(appendMessage(nil, [][]byte{{1}})); err != nil {
			return fmt.Errorf("subscribe to the wrapped kernel: %w", err)
		}
	}
	if d.Connected != nil {
		d.Connected()
	}
	peer := believed
	if d.Kind == zmq4.Sub {
		peer = filling
	}
	if err := p.attach(c); err != nil {
		return err
	}
	var writer sync.WaitGroup
	writer.Go(p.write)
	err = p.read(r, peer, func(m message) { d.Message(m.frames, m.fill) })
	p.fail(err)
	writer.Wait()
	return err
}

func (d Dialer) connect(ctx context.Context, p *Peer) (net.Conn, error) {
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		c, err := dialer.DialContext(ctx, d.Network, d.Address)
		if err == nil {
			return c, nil
		}
		select {
		case <-p.done:
			return nil, p.Err()
		case <-tick.C:
		}
	}
}
