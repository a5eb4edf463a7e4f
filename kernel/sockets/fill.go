package sockets

import (
	"bufio"
	"sync"
)

// Fill is the last frame of a message while it is still being read: who passes it on
// may begin with the part that is there. Without it, a 50 MB output would be read
// whole before its first byte goes out, and front ends would wait for both.
type Fill struct {
	mu    sync.Mutex
	moved *sync.Cond
	n     int   // bytes of the frame that are there
	err   error // why there will be no more
}

// fillFrom is the size in bytes from which a frame is passed on while it is read.
const fillFrom = 1 << 20

func newFill() *Fill {
	f := &Fill{}
	f.moved = sync.NewCond(&f.mu)
	return f
}

// read reads frame whole, waking those who wait as it goes.
func (f *Fill) read(r *bufio.Reader, frame []byte) error {
	for n := 0; n < len(frame); {
		got, err := r.Read(frame[n:min(len(frame), n+batchSize)])
		n += got
		f.mu.Lock()
		f.n, f.err = n, noEOF(err)
		f.mu.Unlock()
		f.moved.Broadcast()
		if err != nil {
			return noEOF(err)
		}
	}
	return nil
}

// wait returns how many bytes are there once that is more than n.
func (f *Fill) wait(n int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.n <= n && f.err == nil {
		f.moved.Wait()
	}
	if f.n <= n {
		return n, f.err
	}
	return f.n, nil
}
