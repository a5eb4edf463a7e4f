package nbformat

import (
	"io"
)

// ReadLean reads a notebook as [Read] does, and gives its text without the outputs and attachments of its cells as
// well, which [Parse] reads: for forms of the notebook that have neither. Both together need little more memory than
// that text has bytes.
func ReadLean(r io.Reader) (*Notebook, []byte, error) {
	k := &keeper{r: r}
	nb, err := read(k, nil, k)
	if err != nil {
		return nil, nil, err
	}
	k.keep(len(k.last))
	return nb, k.kept, nil
}

// keeper keeps what is read through it, but for what the reader leaves out.
type keeper struct {
	r    io.Reader
	kept []byte
	last []byte // of the last Read, whose buffer is left as it is until the next one
	base int64  // the offset of last
	from int    // last[:from] is kept or left out already
	out  bool   // what comes is left out
}

func (k *keeper) Read(b []byte) (int, error) {
	k.keep(len(k.last))
	k.base += int64(len(k.last))
	n, err := k.r.Read(b)
	k.last, k.from = b[:n], 0
	return n, err
}

// keep keeps what was read last, up to a place in it, or leaves it out.
func (k *keeper) keep(to int) {
	if !k.out {
		k.kept = append(k.kept, k.last[k.from:to]...)
	}
	k.from = to
}

// leaveOut passes over a value. What is kept has another one in its place.
func (p *reader) leaveOut(instead string) error {
	p.blank()
	if k := p.keeper; k != nil {
		k.keep(int(p.offset() - k.base))
		k.kept, k.out = append(k.kept, instead...), true
		defer func() {
			k.keep(int(p.offset() - k.base))
			k.out = false
		}()
	}
	return p.skip()
}
