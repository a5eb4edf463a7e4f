// Package crash has the event file of simulations: it is cut off in the middle of a write or before an action, loses
// what was not synced, or has no room left. The tests of deployer/engine/train and deployer/engine/serve use it;
// nothing else does.
//
// Read [Disk] first. It imports nothing of the product.
package crash

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
)

// ErrCut is the panic of a monitor that is killed.
var ErrCut = errors.New("cut")

// Disk is events.jsonl in memory.
type Disk struct {
	Rand *rand.Rand
	Data []byte
	Left int  // writes and actions before the cut; negative is never
	Full bool // no room is left: a part of what is written arrives

	synced int
}

// Cut is called before everything that a crash could come before.
func (d *Disk) Cut() {
	if d.Left == 0 {
		panic(ErrCut)
	}
	d.Left--
}

// ReadAt reads what was written.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.Data).ReadAt(p, off)
}

// Write appends p, or a part of it.
func (d *Disk) Write(p []byte) (int, error) {
	if d.Left == 0 {
		d.Data = append(d.Data, p[:d.Rand.IntN(len(p)+1)]...)
		panic(ErrCut)
	}
	d.Left--
	if d.Full {
		d.Data = append(d.Data, p[:len(p)/2]...)
		return len(p) / 2, syscall.ENOSPC
	}
	d.Data = append(d.Data, p...)
	return len(p), nil
}

// Truncate cuts the file.
func (d *Disk) Truncate(size int64) error {
	d.Cut()
	d.Data = d.Data[:size]
	d.synced = min(d.synced, len(d.Data))
	return nil
}

// Sync brings what was written to where no loss of power reaches it.
func (d *Disk) Sync() error {
	d.Cut()
	d.synced = len(d.Data)
	return nil
}

// LosePower forgets what was not synced, but for a part of it.
func (d *Disk) LosePower() { d.Data = d.Data[:d.synced+d.Rand.IntN(len(d.Data)-d.synced+1)] }
