package watch

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/metaml/metaml/internal/talk"
)

// bundles shows a run as display bundles: the table is one display that is updated, each failure one that never is.
type bundles struct {
	peer  *talk.Writer
	id    string
	shown string // the last HTML that was sent
	open  bool
}

// NewBundles shows a run in a front end that replaces displays.
func NewBundles(to *talk.Writer) Screen { return &bundles{peer: to, id: DisplayID("table")} }

func (b *bundles) show(d Drawing) error {
	html := d.HTML()
	if html == b.shown {
		return nil
	}
	update := b.open
	b.shown, b.open = html, true
	bundle := map[string]string{"text/html": html, "text/plain": d.Text()}
	return b.peer.Send(talk.Display{Bundle: bundle, DisplayID: b.id, Update: update})
}

func (b *bundles) failed(f *Failure) error {
	return b.peer.Send(talk.Display{Bundle: f.Bundle(), DisplayID: DisplayID("failure")})
}

func (b *bundles) close() error { return nil }

// Bundle is what a front end shows of a drawing.
func Bundle(d Drawing) map[string]string {
	return map[string]string{"text/html": d.HTML(), "text/plain": d.Text()}
}

// DisplayID makes an id for a display that later lines update.
func DisplayID(what string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "metaml-" + what + "-" + hex.EncodeToString(b[:])
}
