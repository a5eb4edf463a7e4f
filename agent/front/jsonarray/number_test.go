package jsonarray

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestNumbersAreReadAsStrconvReadsThem tries the edges, and many numbers in all the ways that they are written.
func TestNumbersAreReadAsStrconvReadsThem(t *testing.T) {
	t.Parallel()
	texts := []string{
		"0", "-0.0", "0.1", "1e22", "1e23", "-1.5e-7", "9007199254740993", "9007199254740992.5",
		"1.7976931348623157e308", "1e400", "4.9e-324", "2.4703282292062327e-324",
		"0.00000000000000000000000000001234567890123456789", "123456789012345678901234567890",
		"1e-400", "8.41", "1E5", "1e+5", "0e0", "0.000", "18446744073709551616", "1e99999999999", "0.1e-99999999999",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			v = rng.NormFloat64() * math.Pow10(rng.IntN(30)-15)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		format := []byte{'e', 'f', 'g'}[rng.IntN(3)]
		if magnitude := math.Abs(v); format == 'f' && (magnitude > 1e40 || magnitude < 1e-40) {
			format = 'e'
		}
		texts = append(texts, strconv.FormatFloat(v, format, rng.IntN(20)-1, 64))
	}
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if text == "-0" {
			want = 0 // an integer, in Python
		}
		got, n := parseFloat([]byte(text + ","))
		switch {
		case err != nil && n != 0:
			t.Errorf("%s: got %v, want nothing", text, got)
		case err == nil && (n != len(text) || math.Float64bits(got) != math.Float64bits(want)):
			t.Errorf("%s: got %v of %d bytes, want %v of %d", text, got, n, want, len(text))
		}
	}
}
