package jsonarray

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// rows writes a list of lists of numbers.
func rows(count, columns int, number func(*rand.Rand) string) []byte {
	rng := rand.New(rand.NewPCG(7, 8))
	lists := make([]string, count)
	for i := range lists {
		row := make([]string, columns)
		for j := range row {
			row[j] = number(rng)
		}
		lists[i] = "[" + strings.Join(row, ",") + "]"
	}
	return []byte("[" + strings.Join(lists, ",") + "]")
}

func BenchmarkDecode(b *testing.B) {
	short := func(r *rand.Rand) string { return strconv.Itoa(r.IntN(17)) }
	long := func(r *rand.Rand) string { return strconv.FormatFloat(r.Float64(), 'g', -1, 64) }
	for name, text := range map[string][]byte{
		"64 rows of 64 integers": rows(64, 64, short),
		"64 rows of 64 floats":   rows(64, 64, long),
		"a row of 64 integers":   rows(1, 64, short),
		"4096 rows of 1 integer": rows(4096, 1, short),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var data []byte
			var shape [2]uint32
			for b.Loop() {
				data, _ = DecoderOf("float64").Append(data[:0], text, shape[:])
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	var data []byte
	for range 4096 {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(rng.Float64()))
	}
	for name, shape := range map[string][]uint32{
		"64 rows of 64": {64, 64}, "a row of 10": {10}, "4096 rows of 1": {4096, 1},
	} {
		size := 8
		for _, n := range shape {
			size *= int(n)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var text []byte
			for b.Loop() {
				text, _ = EncoderOf("float64").Append(text[:0], shape, data[:size])
			}
		})
	}
}
