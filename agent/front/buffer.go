package front

import (
	"sync"
	"sync/atomic"
)

// budget bounds the bytes of requests that are in memory, whoever sent them.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes, if there are so many left.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// buffer is a request's body, or the item of a call that was made of it. Its bytes count against the budget until it is
// released, by the one who has it then.
type buffer struct {
	b       []byte
	charged int64
	budget  *budget
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// keptBuffer is the most that a buffer holds on to when it is not in use.
const keptBuffer = 64 << 10

func newBuffer(b *budget) *buffer {
	buf := buffers.Get().(*buffer)
	buf.budget = b
	return buf
}

// grow makes room for n bytes in all. false: the budget has not got them.
func (b *buffer) grow(n int) bool {
	if n <= cap(b.b) && int64(n) <= b.charged {
		return true
	}
	if more := int64(n) - b.charged; more > 0 {
		if !b.budget.take(more) {
			return false
		}
		b.charged += more
	}
	if n > cap(b.b) {
		grown := make([]byte, len(b.b), n)
		copy(grown, b.b)
		b.b = grown
	}
	return true
}

func (b *buffer) release() {
	b.budget.used.Add(-b.charged)
	b.charged, b.budget = 0, nil
	if cap(b.b) > keptBuffer {
		b.b = nil
	}
	b.b = b.b[:0]
	buffers.Put(b)
}
