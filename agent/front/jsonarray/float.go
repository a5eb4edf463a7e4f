package jsonarray

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// appendFloat writes null for NaN, and else the shortest decimal that gives the number back, in the form that
// Python's repr gives it: 1.0, 1e-07, 1e+16. A float32 (bits 32) is written with the digits that tell it from other
// float32, as the Python module's to_json does.
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
