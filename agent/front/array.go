package front

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// From JSON to arrays. What is decoded here is what numpy would make of the same text, where null, a missing number, is
// NaN in an array of floats; whatever is unusual (ragged, out of range, a string, a null among integers, an integer
// with a point) is left to the worker, which knows the annotation and words the error: see [decodeArray].

// arrayDecoder appends the number at the beginning of s to dst, in the bytes of its dtype, and gives what it took of s.
// 0 means that it is no number of the dtype.
type arrayDecoder func(dst, s []byte) (_ []byte, took int)

var decoders = map[string]arrayDecoder{
	"float64": func(dst, s []byte) ([]byte, int) {
		v, n := parseFloat(s)
		if n == 0 && isNull(s) {
			v, n = math.NaN(), len(null)
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)), n
	},
	"float32": func(dst, s []byte) ([]byte, int) {
		v, n := parseFloat(s)
		if n == 0 && isNull(s) {
			v, n = math.NaN(), len(null)
		}
		w := float32(v) // by way of a double, as numpy does it
		if math.IsInf(float64(w), 0) {
			return dst, 0
		}
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(w)), n
	},
	"int64": func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 64)
		return binary.LittleEndian.AppendUint64(dst, uint64(v)), n
	},
	"int32": func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 32)
		return binary.LittleEndian.AppendUint32(dst, uint32(v)), n
	},
	"int16": func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 16)
		return binary.LittleEndian.AppendUint16(dst, uint16(v)), n
	},
	"int8": func(dst, s []byte) ([]byte, int) {
		v, n := parseInt(s, 8)
		return append(dst, byte(v)), n
	},
	"uint64": func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 64)
		return binary.LittleEndian.AppendUint64(dst, v), n
	},
	"uint32": func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 32)
		return binary.LittleEndian.AppendUint32(dst, uint32(v)), n
	},
	"uint16": func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 16)
		return binary.LittleEndian.AppendUint16(dst, uint16(v)), n
	},
	"uint8": func(dst, s []byte) ([]byte, int) {
		v, n := parseUint(s, 8)
		return append(dst, byte(v)), n
	},
	"bool": func(dst, s []byte) ([]byte, int) {
		switch {
		case len(s) >= 4 && string(s[:4]) == "true":
			return append(dst, 1), 4
		case len(s) >= 5 && string(s[:5]) == "false":
			return append(dst, 0), 5
		}
		return dst, 0
	},
}

// decodeArray makes the item of a call of JSON text that is an array (or one number) and nothing else; ndim says how
// many dimensions it must have, nil any. ok false means that the text is anything else, well formed or not: the worker
// is to see it as it came.
func decodeArray(item, text []byte, number arrayDecoder, want *int) (_ []byte, ok bool) {
	i := blank(text, 0)
	ndim := 0
	for j := i; j < len(text) && (text[j] == '[' || isBlank(text[j])); j++ {
		if text[j] == '[' {
			ndim++
		}
	}
	if ndim > maxDims || want != nil && *want != ndim {
		return item, false
	}
	if ndim == 0 && isNull(text[i:]) { // a number may be missing in an array, but not the whole
		return item, false
	}
	prefix := itemPrefix(ndim)
	item = append(item[:0], make([]byte, prefix)...)
	var count, shape [maxDims]uint32 // of the lists that are open; of the first list that was closed at that depth
	var known uint64                 // bit d: shape[d] is known
	depth := 0
	for {
		// A value is due.
		if i >= len(text) {
			return item, false
		}
		if text[i] == '[' {
			if depth == ndim {
				return item, false
			}
			count[depth] = 0
			depth++
			i = blank(text, i+1)
			if i < len(text) && text[i] == ']' {
				// Nothing but empty lists may lie at this depth.
				if depth != ndim || known&(1<<(depth-1)) != 0 && shape[depth-1] != 0 {
					return item, false
				}
				goto closing
			}
			continue
		}
		if depth != ndim {
			return item, false
		}
		{
			var n int
			if item, n = number(item, text[i:]); n == 0 {
				return item, false
			}
			i = blank(text, i+n)
		}
	after:
		// A value has ended.
		if depth == 0 {
			if i != len(text) {
				return item, false
			}
			data := len(item) - prefix
			if data > maxFrame/2 {
				return item, false
			}
			putItemHeader(item, itemArray, shape[:ndim], data)
			return appendPadding(item, data), true
		}
		count[depth-1]++
		if i >= len(text) {
			return item, false
		}
		if text[i] == ',' {
			i = blank(text, i+1)
			continue
		}
		if text[i] != ']' {
			return item, false
		}
	closing:
		i = blank(text, i+1)
		depth--
		if known&(1<<depth) == 0 {
			known |= 1 << depth
			shape[depth] = count[depth]
		} else if shape[depth] != count[depth] {
			return item, false
		}
		goto after
	}
}

const null = "null"

func isNull(s []byte) bool { return len(s) >= len(null) && string(s[:len(null)]) == null }

// named gives the value of an object whose one key is name, which is as good as the value alone; of any other text, the
// text. That nothing stands behind the value is left to who decodes it.
func named(text []byte, name string) []byte {
	i := blank(text, 0)
	if name == "" || i == len(text) || text[i] != '{' {
		return text
	}
	i = blank(text, i+1)
	rest, ok := bytes.CutPrefix(text[i:], []byte(`"`+name+`"`))
	if !ok {
		return text
	}
	i = blank(rest, 0)
	end := len(rest) - 1
	for end > i && isBlank(rest[end]) {
		end--
	}
	if i >= end || rest[i] != ':' || rest[end] != '}' {
		return text
	}
	return rest[i+1 : end]
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func blank(s []byte, i int) int {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return i
}

// scanned is a number as JSON writes it.
type scanned struct {
	digits   uint64 // its digits as one integer, if there are at most 19
	exponent int    // of 10, by which they are multiplied
	size     int    // bytes of it; 0: this is no number
	negative bool
	whole    bool // it has neither point nor exponent
	exact    bool // digits and exponent have all there is
}

func scanNumber(s []byte) (n scanned) {
	i := 0
	if i < len(s) && s[i] == '-' {
		n.negative = true
		i++
	}
	first := i
	var v uint64
	for i < len(s) && s[i]-'0' <= 9 {
		v = v*10 + uint64(s[i]-'0')
		i++
	}
	digits := i - first
	if digits == 0 || digits > 1 && s[first] == '0' {
		return scanned{}
	}
	n.whole = true
	significant := digits
	if i < len(s) && s[i] == '.' {
		n.whole = false
		i++
		point := i
		for i < len(s) && s[i]-'0' <= 9 {
			v = v*10 + uint64(s[i]-'0')
			i++
		}
		if i == point {
			return scanned{}
		}
		n.exponent = point - i
		significant += i - point
		if significant > 19 && s[first] == '0' {
			// Zeros before the first digit that counts are not many digits.
			for j := point; j < i && s[j] == '0'; j++ {
				significant--
			}
			significant--
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		n.whole = false
		i++
		negative := false
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			negative = s[i] == '-'
			i++
		}
		from, e := i, 0
		for i < len(s) && s[i]-'0' <= 9 {
			e = min(e*10+int(s[i]-'0'), 1<<20)
			i++
		}
		if i == from {
			return scanned{}
		}
		if negative {
			e = -e
		}
		n.exponent += e
	}
	n.digits, n.size, n.exact = v, i, significant <= 19
	return n
}

// powers are those of ten that a double has exactly.
var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22,
}

// parseFloat gives the double nearest to the number at the beginning of s, as strconv.ParseFloat does. What no double
// can hold is no number.
func parseFloat(s []byte) (v float64, size int) {
	n := scanNumber(s)
	if n.size == 0 {
		return 0, 0
	}
	if n.whole && n.digits == 0 && n.exact {
		return 0, n.size // -0 is an integer in Python, which has one zero
	}
	// Both are exact doubles, so one operation rounds once, and rightly (Clinger).
	if n.exact && n.digits < 1<<53 && n.exponent >= -22 && n.exponent <= 22 {
		v = float64(n.digits)
		if n.exponent < 0 {
			v /= powers[-n.exponent]
		} else {
			v *= powers[n.exponent]
		}
		if n.negative {
			v = -v
		}
		return v, n.size
	}
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(s), n.size), 64) //nolint:gosec // strconv keeps no text
	if err != nil {
		return 0, 0
	}
	return v, n.size
}

func parseUint(s []byte, bits uint) (v uint64, size int) {
	n := scanNumber(s)
	if n.size == 0 || !n.whole || n.negative && n.digits != 0 {
		return 0, 0
	}
	v = n.digits
	if !n.exact { // 20 digits may fit still
		var err error
		//nolint:gosec // as above
		if v, err = strconv.ParseUint(unsafe.String(unsafe.SliceData(s), n.size), 10, 64); err != nil {
			return 0, 0
		}
	}
	if v > 1<<bits-1 {
		return 0, 0
	}
	return v, n.size
}

func parseInt(s []byte, bits uint) (v int64, size int) {
	n := scanNumber(s)
	if n.size == 0 || !n.whole || !n.exact {
		return 0, 0
	}
	limit := uint64(1) << (bits - 1)
	switch {
	case n.negative && n.digits <= limit:
		return -int64(n.digits), n.size
	case !n.negative && n.digits < limit:
		return int64(n.digits), n.size
	}
	return 0, 0
}

// From arrays to JSON, as Python's tolist and json.dumps write them.

// arrayEncoder writes numbers of a dtype as JSON.
type arrayEncoder struct {
	size  int
	write func(dst, data []byte) (_ []byte, ok bool) // data begins with the number; false: JSON has no such number
}

var encoders = map[string]*arrayEncoder{
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

// encode appends the array to dst. at is the index of the first number that JSON does not have, or negative.
func (e *arrayEncoder) encode(dst []byte, shape []uint32, data []byte) (_ []byte, at int) {
	if len(shape) == 0 {
		dst, ok := e.write(dst, data)
		if !ok {
			return dst, 0
		}
		return dst, -1
	}
	whole := len(data)
	var walk func(shape []uint32) bool
	walk = func(shape []uint32) bool {
		dst = append(dst, '[')
		for i := range shape[0] {
			if i > 0 {
				dst = append(dst, ',')
			}
			if len(shape) > 1 {
				if !walk(shape[1:]) {
					return false
				}
				continue
			}
			var ok bool
			if dst, ok = e.write(dst, data); !ok {
				return false
			}
			data = data[e.size:]
		}
		dst = append(dst, ']')
		return true
	}
	if !walk(shape) {
		return dst, (whole - len(data)) / e.size
	}
	return dst, -1
}

// appendFloat writes null for NaN, and else the shortest decimal that gives the number back, in the form that Python's
// repr gives it: 1.0, 1e-07, 1e+16. A float32 (bits 32) is written with the digits that tell it from other float32, as
// metaml._values.json_text does.
func appendFloat(dst []byte, v float64, bits int) (_ []byte, ok bool) {
	magnitude := math.Abs(v)
	if magnitude == 0 {
		if math.Signbit(v) {
			return append(dst, "-0.0"...), true
		}
		return append(dst, "0.0"...), true
	}
	if v != v {
		return append(dst, null...), true
	}
	if magnitude > math.MaxFloat64 {
		return dst, false
	}
	if bits == 64 && magnitude >= 1e-4 && magnitude < 1e16 {
		from := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
		return appendPoint(dst, from), true
	}
	return appendDigits(dst, strconv.AppendFloat(make([]byte, 0, 32), v, 'e', -1, bits))
}

// appendPoint adds ".0" if what was written from there on has no point.
func appendPoint(dst []byte, from int) []byte {
	if slices.Contains(dst[from:], '.') {
		return dst
	}
	return append(dst, ".0"...)
}

// appendDigits writes digits in the form d.ddde±dd as repr would.
func appendDigits(dst, digits []byte) (_ []byte, ok bool) {
	mark := len(digits) - 1
	for digits[mark] != 'e' {
		mark--
	}
	exponent, _ := strconv.Atoi(string(digits[mark+1:]))
	if exponent < -4 || exponent >= 16 {
		return append(dst, digits...), true
	}
	from := len(dst)
	// The digits are a double's too, and it prints in the same ones.
	v, _ := strconv.ParseFloat(string(digits), 64)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	return appendPoint(dst, from), true
}

// appendHalf writes a float16.
func appendHalf(dst []byte, bits uint16) (_ []byte, ok bool) {
	v := halfToFloat(bits)
	if v == 0 || math.IsInf(v, 0) || v != v {
		return appendFloat(dst, v, 64)
	}
	// 5 digits tell all float16 apart; fewer may, also those next to the nearest ones where the spacing of float16
	// changes.
	for precision := range 5 {
		digits := strconv.AppendFloat(make([]byte, 0, 16), v, 'e', precision, 64)
		nearest, _ := strconv.ParseFloat(string(digits), 64)
		_, exponent, _ := strings.Cut(string(digits), "e")
		e, _ := strconv.Atoi(exponent)
		for _, step := range [...]float64{0, 1, -1} {
			digits = strconv.AppendFloat(digits[:0], nearest+step*math.Pow10(e-precision), 'e', precision, 64)
			if back, _ := strconv.ParseFloat(string(digits), 64); floatToHalf(back) == bits {
				return appendDigits(dst, digits)
			}
		}
	}
	return appendFloat(dst, v, 64)
}

func halfToFloat(h uint16) float64 {
	sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// floatToHalf rounds to the nearest float16, ties to even.
func floatToHalf(v float64) uint16 {
	var sign uint16
	if math.Signbit(v) {
		sign, v = 1<<15, -v
	}
	if v >= 65520 {
		return sign | 31<<10
	}
	if v < math.Ldexp(1, -14) {
		return sign | uint16(math.RoundToEven(math.Ldexp(v, 24)))
	}
	fraction, exponent := math.Frexp(v) // v = fraction × 2^exponent, fraction in [0.5, 1)
	n := uint16(math.RoundToEven(math.Ldexp(fraction, 11)))
	return sign | (uint16(exponent+13)<<10 + n)
}
