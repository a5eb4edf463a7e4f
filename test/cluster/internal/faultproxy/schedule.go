//go:build linux

package faultproxy

import (
	"math"
	"math/rand/v2"
	"time"
)

// Kind is what goes wrong with a connection.
type Kind string

// The kinds.
const (
	None   Kind = "none"
	Refuse Kind = "refuse" // it is reset before anything is sent
	Silent Kind = "silent" // it is accepted, and nothing ever comes of it
	FIN    Kind = "fin"    // it is closed, as a server closes it
	RST    Kind = "rst"    // it is reset
	Up     Kind = "up"     // what the client sends is swallowed, and the connection stays open
	Down   Kind = "down"   // the same with what comes from the server
	Both   Kind = "both"   // the same in both directions
	Stall  Kind = "stall"  // nothing comes through for a time, and all of it afterwards
	Forget Kind = "forget" // the connection is forgotten: whoever sends something next is answered with a reset
)

// Fate is what becomes of a connection. All of it follows from the seed and the number of the connection.
type Fate struct {
	Slow   time.Duration // until the connection to the server is made
	Kind   Kind
	After  time.Duration // since the connection was made; 0: Bytes count
	Bytes  int           // in both directions together, after which it happens in the middle of a chunk
	Lasts  time.Duration // for Up, Down, Both: a reset follows; for Stall: all goes on. 0: for good
	Jitter time.Duration // what is read is held back by so much at most: that of two connections changes places
	Chunk  int           // the most bytes that are written at once; 0: what was read
	Age    Kind          // how the connection ends that is too old
}

// Outage is a time in which nobody listens: connections are refused, and those that are open end before it.
type Outage struct {
	Pause time.Duration // since the last one
	Lasts time.Duration
	Cut   Kind // FIN or RST; None: open connections go on
}

// Schedule is what goes wrong, by seed.
type Schedule struct {
	Seed uint64
	// Hour is how long an hour of the proxy's clock is.
	Hour time.Duration
	// MaxAge is how old a connection may become, on the proxy's clock; 0: as old as it likes.
	MaxAge time.Duration
	// Fate is what becomes of the n-th connection, with random numbers of its own; nil: of nothing comes anything.
	Fate func(n int, random *rand.Rand) Fate
	// Outage is the n-th of them; nil: there are none.
	Outage func(n int, random *rand.Rand) Outage
}

// Rough is a schedule in which everything goes wrong that can, with connections that are cut when they are three hours
// old, on a clock that has an hour in one to four seconds.
func Rough(seed uint64) Schedule {
	random := rand.New(rand.NewPCG(seed, math.MaxUint64))
	return Schedule{
		Seed: seed, Hour: between(random, time.Second, 4*time.Second), MaxAge: 3 * time.Hour,
		Fate: roughFate, Outage: roughOutage,
	}
}

func roughFate(_ int, random *rand.Rand) Fate {
	f := Fate{Kind: None, Age: pick(random, FIN, RST, Forget)}
	if random.IntN(5) == 0 {
		f.Slow = between(random, 10*time.Millisecond, 7*time.Second) // a client waits for five
	}
	if random.IntN(5) < 2 {
		f.Jitter = between(random, time.Millisecond, 300*time.Millisecond)
	}
	if random.IntN(3) == 0 {
		f.Chunk = int(scale(random, 16, 4096))
	}
	switch p := random.IntN(100); {
	case p < 25:
		return f
	case p < 32:
		f.Kind = Refuse
	case p < 36:
		f.Kind = Silent
	case p < 50:
		f.Kind = FIN
	case p < 66:
		f.Kind = RST
	case p < 80:
		f.Kind, f.Lasts = Stall, between(random, 100*time.Millisecond, 8*time.Second)
	case p < 83:
		f.Kind = Forget
	default:
		f.Kind = pick(random, Up, Down, Both)
		if random.IntN(3) > 0 {
			f.Lasts = between(random, 500*time.Millisecond, 10*time.Second)
		}
	}
	if random.IntN(2) == 0 {
		f.Bytes = 1 + int(scale(random, 1, 1<<20))
	} else {
		f.After = between(random, time.Millisecond, 10*time.Second)
	}
	return f
}

func roughOutage(_ int, random *rand.Rand) Outage {
	return Outage{
		Pause: between(random, time.Second, 15*time.Second), Lasts: between(random, time.Millisecond, 3*time.Second),
		Cut: pick(random, FIN, RST, None),
	}
}

// pick is one of several.
func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// scale is a number between two, of which small ones are as likely as large ones.
func scale(random *rand.Rand, least, most float64) float64 {
	return least * math.Pow(most/least, random.Float64())
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(scale(random, float64(least), float64(most)))
}
