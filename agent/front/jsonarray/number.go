package jsonarray

import (
	"strconv"
	"unsafe"
)

// scanned is a number as JSON writes it.
type scanned struct {
	digits   uint64 // its digits as one integer, if there are at most 19
	exponent int    // of 10, by which they are multiplied
	size     int    // bytes of it; 0: this is no number
	negative bool
	whole    bool // it has neither point nor exponent
	exact    bool // digits and exponent have all there is
}

// scanNumber reads the number at the beginning of s.
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
			e = min(e*10+int(s[i]-'0'), 1<<20) // no double has so large an exponent
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
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
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
		v, err = strconv.ParseUint(unsafe.String(unsafe.SliceData(s), n.size), 10, 64) //nolint:gosec // as above
		if err != nil {
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
