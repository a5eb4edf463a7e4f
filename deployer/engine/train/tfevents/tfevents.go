// Package tfevents reads scalars out of the event files that TensorBoard's writers leave (TensorFlow, PyTorch,
// tensorboard's own, tensorboardX), while they are still being written.
//
// A file is a sequence of records, each `u64 length, u32 masked crc32c of the length, data, u32 masked crc32c of the
// data`, little-endian (TensorFlow, core/lib/io/record_writer.h); data is a tensorflow.Event message
// (core/util/event.proto), of which this package reads the step, the wall time and the scalar values of its summary
// (core/framework/summary.proto).
//
// Read [Reader] first. The package imports the protocol buffers' wire format and the standard library.
package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Scalar is one value of one tag.
type Scalar struct {
	Tag   string
	Step  int64
	Value float64
	Time  time.Time
}

// maxRecord bounds a record that is read, in bytes; images and graphs are larger, and are passed over.
const maxRecord = 1 << 20

// Reader reads one event file from where it stopped the last time. Its zero value with a Path reads from the start.
type Reader struct {
	Path string
	// Old is how many bytes of the file somebody has read before: scalars of records that were whole then are left out.
	Old    int64
	offset int64
	broken bool
}

// Read calls fn for every scalar in the records that have become complete since the last call. A record that is damaged
// ends the reading of that file for good; what came before it counts.
func (r *Reader) Read(fn func(Scalar)) error {
	if r.broken {
		return nil
	}
	f, err := os.Open(r.Path)
	if err != nil {
		return fmt.Errorf("read scalars: %w", err)
	}
	defer f.Close()
	for {
		n, err := r.record(f, fn)
		if err != nil {
			r.broken = errors.Is(err, errDamaged)
			return err
		}
		if n == 0 {
			return nil
		}
		r.offset += n
	}
}

var errDamaged = errors.New("damaged record")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum that the format stores (core/lib/hash/crc32c.h).
func masked(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// record reads the record at the offset and gives its size, or 0 if it is not complete yet.
func (r *Reader) record(f io.ReaderAt, fn func(Scalar)) (int64, error) {
	var head [12]byte
	if n, err := f.ReadAt(head[:], r.offset); n < len(head) {
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		return 0, fmt.Errorf("read scalars of %s: %w", r.Path, err)
	}
	length := binary.LittleEndian.Uint64(head[:8])
	if masked(head[:8]) != binary.LittleEndian.Uint32(head[8:]) || length > math.MaxInt64/2 {
		return 0, fmt.Errorf("read scalars of %s at byte %d: %w", r.Path, r.offset, errDamaged)
	}
	size := int64(length) + 16
	if length > maxRecord {
		var last [1]byte
		if n, _ := f.ReadAt(last[:], r.offset+size-1); n < 1 {
			return 0, nil
		}
		return size, nil
	}
	data := make([]byte, length+4)
	if n, err := f.ReadAt(data, r.offset+12); n < len(data) {
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		return 0, fmt.Errorf("read scalars of %s: %w", r.Path, err)
	}
	if masked(data[:length]) != binary.LittleEndian.Uint32(data[length:]) {
		return 0, fmt.Errorf("read scalars of %s at byte %d: %w", r.Path, r.offset, errDamaged)
	}
	if r.offset+size > r.Old {
		event(data[:length], fn)
	}
	return size, nil
}

// fields calls fn for each field of a message. What is malformed ends it.
func fields(data []byte, fn func(number protowire.Number, kind protowire.Type, value []byte)) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(number, kind, data)
		if n < 0 {
			return
		}
		fn(number, kind, data[:n])
		data = data[n:]
	}
}

// inner is the content of a length-delimited field.
func inner(value []byte) []byte {
	b, n := protowire.ConsumeBytes(value)
	if n < 0 {
		return nil
	}
	return b
}

// event reads a tensorflow.Event: wall_time 1, step 2, summary 5.
func event(data []byte, fn func(Scalar)) {
	var (
		step    int64
		at      time.Time
		summary []byte
	)
	fields(data, func(number protowire.Number, kind protowire.Type, value []byte) {
		switch {
		case number == 1 && kind == protowire.Fixed64Type:
			if bits, n := protowire.ConsumeFixed64(value); n > 0 {
				if seconds := math.Float64frombits(bits); seconds > 0 && seconds < 1e11 {
					at = time.UnixMicro(int64(seconds * 1e6))
				}
			}
		case number == 2 && kind == protowire.VarintType:
			if v, n := protowire.ConsumeVarint(value); n > 0 {
				step = int64(v)
			}
		case number == 5 && kind == protowire.BytesType:
			summary = inner(value)
		}
	})
	fields(summary, func(number protowire.Number, kind protowire.Type, value []byte) {
		if number != 1 || kind != protowire.BytesType {
			return
		}
		if tag, v, ok := summaryValue(inner(value)); ok {
			fn(Scalar{Tag: tag, Step: step, Value: v, Time: at})
		}
	})
}

// summaryValue reads a Summary.Value: tag 1, simple_value 2, tensor 8.
func summaryValue(data []byte) (tag string, v float64, ok bool) {
	fields(data, func(number protowire.Number, kind protowire.Type, value []byte) {
		switch {
		case number == 1 && kind == protowire.BytesType:
			tag = string(inner(value))
		case number == 2 && kind == protowire.Fixed32Type:
			if bits, n := protowire.ConsumeFixed32(value); n > 0 {
				v, ok = float64(math.Float32frombits(bits)), true
			}
		case number == 8 && kind == protowire.BytesType:
			if x, scalar := tensor(inner(value)); scalar {
				v, ok = x, true
			}
		}
	})
	return tag, v, ok && tag != ""
}

// The types of a TensorProto that hold a scalar (core/framework/types.proto).
const (
	float32Type = 1
	float64Type = 2
)

// tensor reads a TensorProto of no dimensions: dtype 1, tensor_shape 2, tensor_content 4, float_val 5, double_val 6.
func tensor(data []byte) (v float64, ok bool) {
	var (
		dtype   uint64
		content []byte
		plain   bool
	)
	scalar := true
	fields(data, func(number protowire.Number, kind protowire.Type, value []byte) {
		switch {
		case number == 1 && kind == protowire.VarintType:
			dtype, _ = protowire.ConsumeVarint(value)
		case number == 2 && kind == protowire.BytesType:
			scalar = len(inner(value)) == 0
		case number == 4 && kind == protowire.BytesType:
			content = inner(value)
		case number == 5:
			b := value
			if kind == protowire.BytesType {
				b = inner(value)
			}
			if bits, n := protowire.ConsumeFixed32(b); n > 0 {
				v, plain = float64(math.Float32frombits(bits)), true
			}
		case number == 6:
			b := value
			if kind == protowire.BytesType {
				b = inner(value)
			}
			if bits, n := protowire.ConsumeFixed64(b); n > 0 {
				v, plain = math.Float64frombits(bits), true
			}
		}
	})
	switch {
	case !scalar:
		return 0, false
	case plain:
		return v, true
	case dtype == float32Type && len(content) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(content))), true
	case dtype == float64Type && len(content) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(content)), true
	}
	return 0, false
}
