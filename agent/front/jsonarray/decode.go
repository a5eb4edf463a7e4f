package jsonarray

import (
	"encoding/binary"
	"math"
)

// Decoder reads arrays of one dtype.
type Decoder struct {
	// number appends the number at the beginning of s to dst, in the bytes of the dtype, and gives how many bytes of
	// s it took: 0 means that s begins with no number of the dtype.
	number func(dst, s []byte) (_ []byte, took int)
}

// DecoderOf gives the decoder of a dtype, nil if there is none.
func DecoderOf(dtype string) *Decoder { return decoders[dtype] }

// Dimensions counts the lists that text begins with, one in the other: an array in it has as many dimensions. ok is
// false if they are more than an array can have.
func Dimensions(text []byte) (ndim int, ok bool) {
	for i := 0; i < len(text) && (text[i] == '[' || isBlank(text[i])); i++ {
		if text[i] == '[' {
			ndim++
		}
	}
	return ndim, ndim <= MaxDims
}

// Append appends the numbers of an array (or a number alone) to dst and puts its shape into shape, which has as many
// elements as text has [Dimensions]. ok is false if text is anything else, well formed or not; dst has grown by then.
func (d *Decoder) Append(dst, text []byte, shape []uint32) (_ []byte, ok bool) {
	at := skipBlanks(text, 0)
	if len(shape) == 0 {
		if isNull(text[at:]) { // a number may be missing in an array, but not the whole
			return dst, false
		}
		dst, took := d.number(dst, text[at:])
		return dst, took > 0 && skipBlanks(text, at+took) == len(text)
	}
	r := reader{number: d.number, text: text, at: at, dst: dst, shape: shape}
	ok = r.list(0)
	return r.dst, ok && r.at == len(text)
}

// reader is the state of reading one array.
type reader struct {
	number func(dst, s []byte) ([]byte, int)
	text   []byte
	at     int // what text[at:] begins with is due
	dst    []byte
	shape  []uint32 // of the first list that was closed at each depth
	known  uint64   // bit d: shape[d] is known
}

// list reads the list that is due, and blanks behind it. depth says how many lists it lies in.
func (r *reader) list(depth int) bool {
	if !r.take('[') {
		return false
	}
	if depth == len(r.shape)-1 {
		return r.numbers(depth)
	}
	for n := uint32(1); ; n++ {
		if !r.list(depth + 1) {
			return false
		}
		if !r.take(',') {
			return r.close(depth, n)
		}
	}
}

// numbers reads a list of numbers from behind its bracket, and blanks behind it. It is where the time goes, so what
// changes with each number is kept in local variables.
func (r *reader) numbers(depth int) bool {
	number, text, at, dst := r.number, r.text, r.at, r.dst
	n := uint32(0)
	if at == len(text) || text[at] != ']' {
		for {
			var took int
			if dst, took = number(dst, text[at:]); took == 0 {
				return false
			}
			at = skipBlanks(text, at+took)
			n++
			if at == len(text) || text[at] != ',' {
				break
			}
			at = skipBlanks(text, at+1)
		}
	}
	r.at, r.dst = at, dst
	return r.close(depth, n)
}

// close reads the bracket behind n members, and blanks behind it. All lists of a depth have one length.
func (r *reader) close(depth int, n uint32) bool {
	if !r.take(']') {
		return false
	}
	if r.known&(1<<depth) == 0 {
		r.known |= 1 << depth
		r.shape[depth] = n
	}
	return r.shape[depth] == n
}

// take reads a character and blanks behind it, if it is due.
func (r *reader) take(c byte) bool {
	if r.at == len(r.text) || r.text[r.at] != c {
		return false
	}
	r.at = skipBlanks(r.text, r.at+1)
	return true
}

// skipBlanks gives where the blanks at text[at:] end.
func skipBlanks(text []byte, at int) int {
	for at < len(text) && isBlank(text[at]) {
		at++
	}
	return at
}

var decoders = map[string]*Decoder{
	"float64": {func(dst, s []byte) ([]byte, int) {
		v, n := parseFloat(s)
		if n == 0 && isNull(s) { // a missing number
			v, n = math.NaN(), len(null)
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)), n
	}},
	"float32": {func(dst, s []byte) ([]byte, int) {
		v, n := parseFloat(s)
		if n == 0 && isNull(s) { // a missing number
			v, n = math.NaN(), len(null)
		}
		w := float32(v) // by way of a double, as numpy does it
		if math.IsInf(float64(w), 0) {
			return dst, 0
		}
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(w)), n
	}},
	"int64": {func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 64)
		return binary.LittleEndian.AppendUint64(dst, uint64(v)), n
	}},
	"int32": {func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 32)
		return binary.LittleEndian.AppendUint32(dst, uint32(v)), n
	}},
	"int16": {func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 16)
		return binary.LittleEndian.AppendUint16(dst, uint16(v)), n
	}},
	"int8": {func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 8)
		return append(dst, byte(v)), n
	}},
	"uint64": {func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 64)
		return binary.LittleEndian.AppendUint64(dst, v), n
	}},
	"uint32": {func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 32)
		return binary.LittleEndian.AppendUint32(dst, uint32(v)), n
	}},
	"uint16": {func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 16)
		return binary.LittleEndian.AppendUint16(dst, uint16(v)), n
	}},
	"uint8": {func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 8)
		return append(dst, byte(v)), n
	}},
	"bool": {func(dst, s []byte) ([]byte, int) {
		switch {
		case len(s) >= 4 && string(s[:4]) == "true":
			return append(dst, 1), 4
		case len(s) >= 5 && string(s[:5]) == "false":
			return append(dst, 0), 5
		}
		return dst, 0
	}},
}

const null = "null"

func isNull(s []byte) bool { return len(s) >= len(null) && string(s[:len(null)]) == null }

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
