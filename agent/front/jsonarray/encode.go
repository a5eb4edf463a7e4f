package jsonarray

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Encoder writes arrays of one dtype.
type Encoder struct {
	// Size is the number of bytes of one number.
	Size int
	// number appends the number that data begins with to dst. ok is false if JSON has no such number.
	number func(dst, data []byte) (_ []byte, ok bool)
}

// EncoderOf gives the encoder of a dtype, nil if there is none.
func EncoderOf(dtype string) *Encoder { return encoders[dtype] }

// Append appends an array to dst, whose shape fits data. at is the index of the first number that JSON does not have,
// negative if it has all of them: of NaN it has null.
func (e *Encoder) Append(dst []byte, shape []uint32, data []byte) (_ []byte, at int) {
	w := writer{number: e.number, size: e.Size, dst: dst, data: data}
	if w.value(shape) {
		return w.dst, -1
	}
	return w.dst, (len(data) - len(w.data)) / e.Size
}

// writer is the state of writing one array.
type writer struct {
	number func(dst, data []byte) ([]byte, bool)
	size   int
	dst    []byte
	data   []byte // not written yet
}

// value writes an array of shape; false: JSON does not have the number that data begins with.
func (w *writer) value(shape []uint32) bool {
	if len(shape) == 0 {
		return w.one()
	}
	w.dst = append(w.dst, '[')
	for i := range shape[0] {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		if !w.value(shape[1:]) {
			return false
		}
	}
	w.dst = append(w.dst, ']')
	return true
}

func (w *writer) one() (ok bool) {
	if w.dst, ok = w.number(w.dst, w.data); ok {
		w.data = w.data[w.size:]
	}
	return ok
}

var encoders = map[string]*Encoder{
	"float64": {8, func(dst, data []byte) ([]byte, bool) {
		return appendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(data)), 64)
	}},
	"float32": {4, func(dst, data []byte) ([]byte, bool) {
		return appendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))), 32)
	}},
	"float16": {2, func(dst, data []byte) ([]byte, bool) {
		return appendHalf(dst, binary.LittleEndian.Uint16(data))
	}},
	"int64": {8, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(data)), 10), true
	}},
	"int32": {4, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(data))), 10), true
	}},
	"int16": {2, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendInt(dst, int64(int16(binary.LittleEndian.Uint16(data))), 10), true
	}},
	"int8": {1, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendInt(dst, int64(int8(data[0])), 10), true
	}},
	"uint64": {8, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, binary.LittleEndian.Uint64(data), 10), true
	}},
	"uint32": {4, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(data)), 10), true
	}},
	"uint16": {2, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint16(data)), 10), true
	}},
	"uint8": {1, func(dst, data []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(data[0]), 10), true
	}},
	"bool": {1, func(dst, data []byte) ([]byte, bool) {
		if data[0] != 0 {
			return append(dst, "true"...), true
		}
		return append(dst, "false"...), true
	}},
}
