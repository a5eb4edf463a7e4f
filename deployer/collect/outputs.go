package collect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// # Files that trials leave behind
//
// What a trial writes into its output folder comes as a whole, as one tar archive, and takes the place of the one
// before:
//
//	PUT /v1/outputs/TRIAL/KIND?round=R&attempt=A   a pod: the archive, whose length need not be known. 200 once it is
//	                                               kept; 409 if one of a later attempt is there, 507 over a limit.
//	GET /v1/check                                  whoever submits the run: 200 if archives can be kept; 507 if not,
//	                                               503 if not now, with the reason
//	GET /v1/outputs                                a reader: a list of [Output]
//	GET /v1/outputs/TRIAL/KIND                     a reader, or the next attempt: the archive, also a range of it;
//	                                               404 if there is none

// MaxOutputs is how many bytes of archives a monitor keeps, one that is on its way included.
const MaxOutputs = 256 << 20

// Kind says what an archive is.
type Kind string

// The kinds.
const (
	// Checkpoint is what a trial asked to be kept (metaml.checkpoint), for the attempt after it.
	Checkpoint Kind = "checkpoint"
	// Latest is what the folder had last, for who reads the results.
	Latest Kind = "output"
)

// Output is one archive.
type Output struct {
	Trial   int       `json:"trial"`
	Kind    Kind      `json:"kind"`
	Round   int       `json:"round"`   // of the Job whose pod sent it, from 1
	Attempt int       `json:"attempt"` // that sent it, from 1
	Number  int       `json:"number"`  // of the archives of the trial and kind, from 1
	Size    int64     `json:"size"`    // in bytes
	Time    time.Time `json:"time"`    // when it was kept
	// Elsewhere says that the files are not on the monitor's disk but on a volume, to which pods write by themselves,
	// or in a registry. They may be of any size, and are fetched when somebody wants them.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Digest is that of the archive in a registry, such as sha256:….
	Digest string `json:"digest,omitempty"`
}

// Slot is what an archive is of. Of each there is one archive, but while the next takes its place.
type Slot struct {
	Trial int
	Kind  Kind
}

// Slot is what the archive is of.
func (o Output) Slot() Slot { return Slot{o.Trial, o.Kind} }

var (
	// ErrLater is why an archive is not taken: it does not change.
	ErrLater = errors.New("a later attempt of the trial has sent its files already")
	// ErrNoRoom is what there is in an error that says why an archive cannot be kept, which sending it again does not
	// change.
	ErrNoRoom = errors.New("it cannot be kept")

	errBusy = errors.New("the trial is sending its files already")
)

// Outputs are the archives that there are. It is safe for concurrent use.
type Outputs struct {
	mu    sync.Mutex
	there map[Slot]Output
	busy  map[Slot]bool // one is on its way
}

// Add adds an archive that is there, unless a later one is. It gives the one that does not count, if there are two.
func (a *Outputs) Add(o Output) (older *Output) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.there[o.Slot()]
	if known && before.Compare(o) >= 0 {
		return &o
	}
	if a.there == nil {
		a.there = map[Slot]Output{}
	}
	a.there[o.Slot()] = o
	if known {
		return &before
	}
	return nil
}

// Begin gives an archive its number, before it is taken. Who got no error calls End.
func (a *Outputs) Begin(o Output) (numbered Output, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.there[o.Slot()]
	o.Number = before.Number + 1
	switch {
	case a.busy[o.Slot()]:
		return o, errBusy
	case known && before.Compare(o) > 0:
		return o, ErrLater
	}
	if a.busy == nil {
		a.busy = map[Slot]bool{}
	}
	a.busy[o.Slot()] = true
	return o, nil
}

// End is called when an archive has come, or has not.
func (a *Outputs) End(o Output) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, o.Slot())
}

// Get gives the archive of a slot.
func (a *Outputs) Get(at Slot) (o Output, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, ok = a.there[at]
	return o, ok
}

// List gives all, by trial and kind.
func (a *Outputs) List() []Output {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.SortedFunc(maps.Values(a.there), func(o, p Output) int {
		return cmp.Or(cmp.Compare(o.Trial, p.Trial), cmp.Compare(o.Kind, p.Kind))
	})
}

// CheckOutput says what is wrong with the trial, kind or attempt of an archive.
func CheckOutput(o Output) error {
	if o.Trial < 0 || o.Round < 1 || o.Attempt < 1 || o.Kind != Checkpoint && o.Kind != Latest {
		return fmt.Errorf("no trial leaves the archive %d/%s of attempt %d in round %d", o.Trial, o.Kind, o.Attempt,
			o.Round)
	}
	return nil
}

// Compare orders the archives of a trial and kind: by the attempt that sent them, then by when.
func (o Output) Compare(p Output) int {
	return cmp.Or(cmp.Compare(o.Round, p.Round), cmp.Compare(o.Attempt, p.Attempt), cmp.Compare(o.Number, p.Number))
}

// FileName is the archive's on a monitor's disk, below the folder of its trial and kind.
func (o Output) FileName() string { return fmt.Sprintf("%d-%d-%d.tar", o.Round, o.Attempt, o.Number) }

// ParseFileName is the opposite of [Output.FileName].
func ParseFileName(name string) (o Output, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, ".tar"), "-")
	if len(parts) != 3 {
		return o, false
	}
	for i, to := range []*int{&o.Round, &o.Attempt, &o.Number} {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return o, false
		}
		*to = n
	}
	return o, o.FileName() == name
}
