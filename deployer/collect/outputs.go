package collect

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// # Files that trials leave behind
//
// What a trial writes into its output folder comes as a whole, as one tar archive, and takes the place of the one
// before:
//
//	PUT /v1/outputs/TRIAL/KIND?round=R&attempt=A   a pod: the archive, whose length need not be known. 200 once it is
//	                                               kept; 409 if one of a later attempt is there, 507 over a limit.
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
	// Volume says that the files lie on a volume, to which pods write by themselves. They may be of any size, and are
	// fetched when somebody wants them.
	Volume bool `json:"volume,omitempty"`
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
