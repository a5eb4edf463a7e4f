package collect

import "fmt"

// Reader is the other side of a [Feed], for one connection: it knows how much of each file is there, and what of a
// frame is new.
type Reader struct {
	sizes map[string]int64 // by path
	took  int64
}

// NewReader begins with the files that are there, those of the [Hello].
func NewReader(has []Held) *Reader {
	r := &Reader{sizes: make(map[string]int64, len(has))}
	for _, h := range has {
		r.sizes[pathOf(h.ID, h.File)] = h.Size
	}
	return r
}

// Fresh gives the part of a frame's data that is to be appended to its file. A frame that begins behind the end of the
// file is an error: the connection is of no use, and another one begins with what is there.
func (r *Reader) Fresh(f Frame) ([]byte, error) {
	size := r.sizes[pathOf(f.Source.ID, f.File)]
	if f.Offset > size {
		return nil, fmt.Errorf("the monitor sent %q from %d on, and %d bytes are here", f.File, f.Offset, size)
	}
	return f.Data[min(size-f.Offset, int64(len(f.Data))):], nil
}

// Kept notes that the fresh part of a frame is in its file, and gives what was taken altogether, for [EncodeTook].
func (r *Reader) Kept(f Frame) int64 {
	path := pathOf(f.Source.ID, f.File)
	r.sizes[path] = max(r.sizes[path], f.Offset+int64(len(f.Data)))
	r.took += int64(len(f.Data))
	return r.took
}
