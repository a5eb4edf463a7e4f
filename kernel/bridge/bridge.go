package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-zeromq/zmq4"

	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/kernel/cell"
	"github.com/metaml/metaml/kernel/sockets"
	"github.com/metaml/metaml/kernel/wire"
)

// Config is all that a kernel needs to know; everything is plain data.
type Config struct {
	// ConnectionFile is what the front end wrote.
	ConnectionFile string
	// Python is the interpreter to wrap; PythonError says why there is none.
	Python      string
	PythonError error
	// Args are passed to ipykernel as they are.
	Args []string
	// ModuleDir is put on the interpreter's path; the metaml module is there.
	// Empty: ipykernel is started without the module.
	ModuleDir string
	// ModuleError says why there is no ModuleDir; the front end shows it.
	ModuleError error
	// Metaml gives the command that runs a cell, or says why there is none.
	Metaml func() (argv, env []string, err error)
	// Version is ours, for the banner.
	Version string
	// Log gets what an operator should know. Required.
	Log *slog.Logger
}

// Bridge is a running kernel.
type Bridge struct {
	cfg    Config
	log    *slog.Logger
	front  *wire.Connection // what the front end knows
	child  *wire.Connection // the wrapped kernel's private sockets
	signer *wire.Signer
	maker  *wire.Maker
	gate   *cell.Gate
	cells  *cell.Server
	folder *folder

	ctx     context.Context //nolint:containedctx // the life of the sockets to the wrapped kernel
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
	servers map[wire.Channel]*sockets.Server
	clients clients

	requests, replies map[wire.Channel]map[string]*Intercept

	subscribed chan struct{} // closed when the wrapped kernel's iopub is ours
	trim       *time.Timer   // gives memory back after a large message
	subOnce    sync.Once
	noticeMu   sync.Mutex
	notice     string // shown once on stderr of the next cell; guarded by noticeMu
	standIn    atomic.Pointer[standIn]
	module     moduleFault
	quitting   atomic.Bool // a shutdown was requested
	shutdowns  shutdowns
	unsigned   atomic.Int64
	strangers  sockets.Strangers
	session    atomic.Pointer[string] // in the headers of the wrapped kernel's messages
}

// Run is the whole life of a kernel: it binds the front end's sockets, starts the
// wrapped kernel, carries messages, and returns the exit code when that has ended.
// Canceling ctx ends the wrapped kernel. interrupts receives one value for every
// SIGINT.
func Run(ctx context.Context, cfg Config, interrupts <-chan os.Signal) (code int, err error) {
	b, err := listen(cfg)
	if err != nil {
		return 1, err
	}
	defer b.close()
	code, err = b.serve(ctx, interrupts)
	return code, err
}

// listen makes everything up to the wrapped kernel's start.
func listen(cfg Config) (_ *Bridge, err error) {
	b := &Bridge{cfg: cfg, log: cfg.Log, servers: map[wire.Channel]*sockets.Server{}, subscribed: make(chan struct{})}
	b.trim = time.AfterFunc(time.Hour, debug.FreeOSMemory)
	b.strangers.Freed = b.freed
	b.requests, b.replies = index(ToChild), index(ToFrontEnd)
	b.clients = clients{bridge: b, byName: map[string]*client{}}
	if b.front, err = wire.ReadConnection(cfg.ConnectionFile); err != nil {
		return nil, err
	}
	if b.signer, err = wire.NewSigner(b.front.Key, b.front.Scheme); err != nil {
		return nil, err
	}
	b.maker = wire.NewMaker(b.signer)
	b.gate = cell.NewGate(b, b.maker, b.log)
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.folder, err = newFolder(); err != nil {
		return nil, err
	}
	var data []byte
	if b.child, data, err = b.front.Child(b.folder.path("k")); err != nil {
		return nil, err
	}
	// ipykernel's connection file has the front end's name: libraries read the kernel's id there.
	if err = os.WriteFile(b.childFile(), data, 0o600); err != nil {
		return nil, fmt.Errorf("write the wrapped kernel's connection file: %w", err)
	}
	if err = b.bind(); err != nil {
		return nil, err
	}
	b.cells, err = cell.Listen(b.ctx, b.folder.path("cells"), b.gate, cfg.Metaml)
	return b, err
}

func (b *Bridge) childFile() string { return b.folder.path(filepath.Base(b.cfg.ConnectionFile)) }

// bind opens the front end's five sockets; a port of 0 is chosen here and written
// back, as ipykernel does.
func (b *Bridge) bind() error {
	kinds := map[wire.Channel]zmq4.SocketType{
		wire.Shell: zmq4.Router, wire.Control: zmq4.Router, wire.Stdin: zmq4.Router,
		wire.IOPub: zmq4.XPub, wire.Heartbeat: zmq4.Rep,
	}
	chosen := map[string]int{}
	for _, ch := range wire.Channels {
		if b.front.Transport == "ipc" && b.front.Ports[ch] == 0 {
			b.front.Ports[ch] = freeName(b.front)
			chosen[string(ch)+"_port"] = b.front.Ports[ch]
		}
		network, address := b.front.Address(ch)
		s, err := sockets.Listen(b.ctx, kinds[ch], network, address, b.handler(ch))
		if err != nil {
			return fmt.Errorf("%s channel: %w", ch, err)
		}
		b.servers[ch] = s
		if tcp, ok := s.Addr().(*net.TCPAddr); ok && b.front.Ports[ch] == 0 {
			b.front.Ports[ch] = tcp.Port
			chosen[string(ch)+"_port"] = tcp.Port
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return rewrite(b.cfg.ConnectionFile, chosen)
}

// freeName finds a number whose ipc socket does not exist.
func freeName(c *wire.Connection) int {
	for n := 1; ; n++ {
		if _, err := os.Lstat(c.IP + "-" + strconv.Itoa(n)); err != nil {
			return n
		}
	}
}

func rewrite(path string, ports map[string]int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write the chosen ports: %w", err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("write the chosen ports: %w", err)
	}
	for name, port := range ports {
		fields[name] = port
	}
	if data, err = json.MarshalIndent(fields, "", "  "); err != nil {
		return fmt.Errorf("write the chosen ports: %w", err)
	}
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return fmt.Errorf("write the chosen ports: %w", err)
	}
	return nil
}

func (b *Bridge) handler(ch wire.Channel) sockets.Handler {
	switch ch {
	case wire.IOPub:
		return sockets.Handler{Subscribe: b.welcome}
	case wire.Heartbeat:
		return sockets.Handler{}
	}
	return sockets.Handler{
		Asks: ch == wire.Stdin, Strangers: &b.strangers,
		Connect: func(p *sockets.Peer) { b.connected(p, ch) },
		Message: func(p *sockets.Peer, frames [][]byte) { b.fromFront(p, ch, frames) },
		Gone:    func(p *sockets.Peer, _ error) { b.clients.gone(p, ch) },
	}
}

// present says whether a front end of that identity is connected on ch.
func (b *Bridge) present(identity string, ch wire.Channel) bool {
	return b.servers[ch].Has(identity)
}

// connected takes in that somebody is ready on ch. Who that is nobody knows before they
// sign, unless a front end of that identity has signed elsewhere.
func (b *Bridge) connected(p *sockets.Peer, ch wire.Channel) {
	if b.clients.find(p.Identity) != nil {
		b.servers[ch].Known(p.Identity)
	}
}

// signed takes in that a peer has sent a message with the right signature.
func (b *Bridge) signed(p *sockets.Peer) {
	if !p.Signed() {
		return
	}
	for _, ch := range []wire.Channel{wire.Shell, wire.Control, wire.Stdin} {
		b.servers[ch].Known(p.Identity)
	}
}

var errOwn = errors.New("a message of the kernel was sent back to it")

// fromFront takes a message of a front end. Only one with our signature goes further,
// and none that the kernel has published itself: that everybody can have.
func (b *Bridge) fromFront(p *sockets.Peer, ch wire.Channel, frames [][]byte) {
	m, err := wire.Parse(frames)
	if err == nil {
		err = b.signer.Check(m)
	}
	var h wire.Header
	if err == nil {
		h, err = wire.ParseHeader(m.Header())
	}
	if err == nil {
		if session := b.session.Load(); h.Session == b.maker.Session() || session != nil && h.Session == *session {
			err = errOwn
		}
	}
	if err != nil {
		if n := b.unsigned.Add(1); n < 10 || n%1000 == 0 {
			b.log.Warn("a message was dropped", "channel", ch, "error", err, "dropped so far", n)
		}
		return
	}
	c := b.clients.get(p.Identity)
	b.signed(p)
	b.noteSize(frames)
	if s := b.standIn.Load(); s != nil {
		s.answer(c, ch, m, h)
		return
	}
	c.socket(b, ch).Room()
	row := b.requests[ch][h.Type]
	if row == nil {
		row = b.requests[ch]["*"]
	}
	if row == nil {
		c.socket(b, ch).Send(frames)
		return
	}
	row.request(b, c, ch, m, h)
}

// largeMessage is the size in bytes from which memory is given back to the machine once
// trimAfter has passed without another: a kernel lives for days, a large plot a second.
const (
	largeMessage = 4 << 20
	trimAfter    = 2 * time.Second
)

// freed gets what peers that never signed give back. The collector would wait until there is as much garbage as memory
// in use, and strangers could make that twice what they may hold.
func (b *Bridge) freed(bytes int) {
	if bytes >= largeMessage {
		runtime.GC()
	}
	if bytes >= largeUnsigned {
		b.trim.Reset(trimAfter)
	}
}

// largeUnsigned is as largeMessage, where many may give back something at once.
const largeUnsigned = 64 << 10

func (b *Bridge) noteSize(frames [][]byte) {
	if wire.Size(frames) >= largeMessage {
		b.trim.Reset(trimAfter)
	}
}

// fromChild takes a reply of the wrapped kernel to a client.
func (b *Bridge) fromChild(c *client, ch wire.Channel, frames [][]byte) {
	if m, err := wire.Parse(frames); err == nil {
		if row := find(b.replies[ch], m.Header()); row != nil {
			row.reply(b, c, ch, m)
			return
		}
	}
	b.noteSize(frames)
	b.servers[ch].Send(c.identity, frames)
}

// published takes a message of the wrapped kernel's iopub.
func (b *Bridge) published(frames [][]byte, fill *sockets.Fill) {
	if m, err := wire.Parse(frames); err == nil {
		b.noteSession(m)
		if row := find(b.replies[wire.IOPub], m.Header()); row != nil && fill == nil && row.publish(b, m) {
			return
		}
	}
	b.noteSize(frames)
	b.servers[wire.IOPub].PublishFilling(frames, fill)
}

// noteSession reads the wrapped kernel's session of its first message.
func (b *Bridge) noteSession(m wire.Message) {
	if b.session.Load() != nil {
		return
	}
	if h, err := wire.ParseHeader(m.Header()); err == nil && h.Session != "" {
		b.session.Store(&h.Session)
	}
}

// find reads a header only when it can be of an intercepted type.
func find(rows map[string]*Intercept, header []byte) *Intercept {
	for name := range rows {
		if bytes.Contains(header, []byte(name)) {
			h, err := wire.ParseHeader(header)
			if err != nil {
				return nil
			}
			return rows[h.Type]
		}
	}
	return nil
}

// Forward implements cell.Front.
func (b *Bridge) Forward(identity string, frames [][]byte) {
	b.clients.get(identity).socket(b, wire.Shell).Send(frames)
}

// Reply implements cell.Front.
func (b *Bridge) Reply(identity string, frames [][]byte) {
	b.servers[wire.Shell].Send(identity, frames)
}

// Publish implements cell.Front.
func (b *Bridge) Publish(frames [][]byte, progress bool) {
	b.servers[wire.IOPub].Publish(frames, progress)
}

// Present implements cell.Front.
func (b *Bridge) Present(identity string) bool { return b.present(identity, wire.Shell) }

// Notice implements cell.Front. A notice that is not shown yet gives way: the next is newer.
func (b *Bridge) Notice(text string) {
	b.noticeMu.Lock()
	defer b.noticeMu.Unlock()
	b.notice = text
}

// takeNotice gives the notice that is to be shown, once.
func (b *Bridge) takeNotice() string {
	b.noticeMu.Lock()
	defer b.noticeMu.Unlock()
	text := b.notice
	b.notice = ""
	return text
}

// welcome answers a subscription (JEP 65). The topic frame is there only when the
// subscription is not empty.
func (b *Bridge) welcome(p *sockets.Peer, topic []byte) {
	if !utf8.Valid(topic) {
		return
	}
	var routing [][]byte
	if len(topic) > 0 {
		routing = [][]byte{bytes.Clone(topic)}
	}
	frames, err := b.maker.Make(routing, "iopub_welcome", nil, nil, map[string]string{"subscription": string(topic)})
	if err != nil {
		b.log.Error("a subscriber could not be welcomed", "error", err)
		return
	}
	p.Send(frames)
}

// subscribe connects to the wrapped kernel's iopub. Requests wait until that stands,
// or their first outputs would be lost.
func (b *Bridge) subscribe() *sockets.Peer {
	network, address := b.child.Address(wire.IOPub)
	return sockets.Dialer{
		Kind: zmq4.Sub, Network: network, Address: address, Message: b.published,
		Connected: func() {
			// ipykernel before 7.2 sends no welcome.
			t := time.AfterFunc(subscribeWait, b.isSubscribed)
			context.AfterFunc(b.ctx, func() { t.Stop() })
		},
	}.Dial(b.ctx, &b.wg)
}

// subscribeWait is how long a welcome is waited for; ipykernel needs ten times as long
// from there to its first answer.
const subscribeWait = 30 * time.Millisecond

func (b *Bridge) isSubscribed() { b.subOnce.Do(func() { close(b.subscribed) }) }

// close ends everything that listen made.
func (b *Bridge) close() {
	b.cancel(errors.New("kernel ended"))
	b.trim.Stop()
	if b.cells != nil {
		b.cells.Close(detachWait)
	}
	b.clients.close()
	for _, s := range b.servers {
		s.Close()
	}
	b.wg.Wait()
	if b.folder != nil {
		b.folder.remove()
	}
}

// detachWait is how long `metaml` processes may take to notice that we end.
const detachWait = time.Second
