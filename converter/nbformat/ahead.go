package nbformat

import (
	"io"
	"os"
)

// A large file is read by a goroutine of its own while what was read before is gone over, which takes about as long.
const (
	largeFile  = 2 << 20
	aheadOf    = 3         // chunks
	largeChunk = 512 << 10 // fewer are handed over than of the scanner's own
)

// ahead reads a file ahead of who goes over it.
type ahead struct {
	file *os.File
	read chan part   // in their order; closed behind the last one
	free chan []byte // room for the next ones
}

type part struct {
	data []byte
	err  error
}

// readAhead starts to read a file, nil if it is small, or one whose reading may wait for somebody, such as a pipe.
func readAhead(r io.Reader) *ahead {
	f, ok := r.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() < largeFile {
		return nil
	}
	a := &ahead{f, make(chan part, aheadOf), make(chan []byte, aheadOf)}
	for range aheadOf {
		a.free <- make([]byte, largeChunk)
	}
	go a.run()
	return a
}

func (a *ahead) run() {
	defer close(a.read)
	for room := range a.free {
		n, err := a.file.Read(room)
		a.read <- part{room[:n], err}
		if err != nil {
			return
		}
	}
}

// next gives what follows, in place of what it gave before; at the end io.EOF.
func (a *ahead) next(before []byte) ([]byte, error) {
	if cap(before) == largeChunk {
		a.free <- before[:largeChunk]
	}
	p, ok := <-a.read
	if !ok {
		return nil, io.EOF
	}
	return p.data, p.err
}

// close ends the goroutine, which has nothing more to do with the file then.
func (a *ahead) close() {
	close(a.free)
	for range a.read { // until it has ended
	}
}
