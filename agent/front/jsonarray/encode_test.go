package jsonarray

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// pythonWrites prints the JSON that the module makes of lines of dtype, tab, hexadecimal bytes.
const pythonWrites = `
import sys
import numpy as np
from metaml._values.json_text import to_json
for line in sys.stdin:
    dtype, data = line.split("\t")
    print(to_json(np.frombuffer(bytes.fromhex(data), dtype)).decode())
`

func TestArraysAreWrittenAsPythonWritesThem(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var input strings.Builder
	var want []string
	add := func(dtype string, data []byte) {
		e := EncoderOf(dtype)
		text, at := e.Append(nil, []uint32{uint32(len(data) / e.Size)}, data)
		if at >= 0 {
			t.Fatalf("%s of %x: no number at %d", dtype, data, at)
		}
		fmt.Fprintf(&input, "%s\t%x\n", dtype, data)
		want = append(want, string(text))
	}
	for dtype, e := range encoders {
		if strings.HasPrefix(dtype, "float") {
			continue
		}
		data := make([]byte, 100*e.Size)
		for i := range data {
			data[i] = byte(rng.Uint32())
			if dtype == "bool" {
				data[i] &= 1
			}
		}
		add(dtype, data)
	}
	var doubles []byte
	for _, v := range []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e15, 1e16, 9999999999999998, 1e17, 1e-4, 9.999999999999999e-5, 1e-5,
		123456789, 1.5e300, 5e-324, math.MaxFloat64, 1e22, 1e21, 0.30000000000000004, 1234567890123456.7,
	} {
		doubles = binary.LittleEndian.AppendUint64(doubles, math.Float64bits(v))
	}
	for range 100_000 {
		v := math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			v = rng.NormFloat64() * math.Pow10(rng.IntN(40)-20)
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			doubles = binary.LittleEndian.AppendUint64(doubles, math.Float64bits(v))
		}
	}
	add("float64", doubles)
	var singles []byte
	for range 100_000 {
		v := math.Float32frombits(rng.Uint32())
		if rng.IntN(2) == 0 {
			v = float32(rng.NormFloat64() * math.Pow10(rng.IntN(40)-20))
		}
		if w := float64(v); !math.IsNaN(w) && !math.IsInf(w, 0) {
			singles = binary.LittleEndian.AppendUint32(singles, math.Float32bits(v))
		}
	}
	for _, v := range []float32{1e16, 1e-4, 1e-5, 16777216, 0.1, 9.9999998e15} {
		singles = binary.LittleEndian.AppendUint32(singles, math.Float32bits(v))
	}
	add("float32", singles)
	var halves []byte
	for bits := range 1 << 16 {
		if bits>>10&31 != 31 {
			halves = binary.LittleEndian.AppendUint16(halves, uint16(bits))
		}
	}
	add("float16", halves)
	for i, got := range runPython(t, pythonWrites, input.String()) {
		if got == want[i] {
			continue
		}
		ours, theirs := strings.Split(want[i], ","), strings.Split(got, ",")
		for j := range ours {
			if j >= len(theirs) || ours[j] != theirs[j] {
				t.Fatalf("%.8s…, number %d: we write %s, Python %s",
					strings.Split(input.String(), "\n")[i], j, ours[j], theirs[min(j, len(theirs)-1)])
			}
		}
	}
}

func TestAnArrayOfSeveralDimensionsAndOneWithoutANumber(t *testing.T) {
	t.Parallel()
	data := make([]byte, 0, 48)
	for i := range 6 {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(i)))
	}
	e := EncoderOf("float64")
	if got, at := e.Append(nil, []uint32{2, 3}, data); string(got) != "[[0.0,1.0,2.0],[3.0,4.0,5.0]]" || at >= 0 {
		t.Errorf("got %s, %d", got, at)
	}
	binary.LittleEndian.PutUint64(data[24:], math.Float64bits(math.NaN()))
	if got, at := e.Append(nil, []uint32{2, 3}, data); string(got) != "[[0.0,1.0,2.0],[null,4.0,5.0]]" || at >= 0 {
		t.Errorf("with a missing value: %s, %d", got, at)
	}
	binary.LittleEndian.PutUint64(data[32:], math.Float64bits(math.Inf(1)))
	if _, at := e.Append(nil, []uint32{2, 3}, data); at != 4 {
		t.Errorf("infinity found at %d", at)
	}
}

func TestMissingNumbersOfEverySizeAreNull(t *testing.T) {
	t.Parallel()
	for dtype, data := range map[string][]byte{
		"float64": binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN())),
		"float32": binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN()))),
		"float16": {0x00, 0x7e},
	} {
		t.Run(dtype, func(t *testing.T) {
			t.Parallel()
			if got, at := EncoderOf(dtype).Append(nil, nil, data); string(got) != "null" || at >= 0 {
				t.Errorf("%s, %d", got, at)
			}
		})
	}
}
