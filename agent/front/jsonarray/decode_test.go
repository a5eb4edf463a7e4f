package jsonarray

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestWhatIsAnArray(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, dtype string
		shape       []uint32 // nil: it is left to the worker
	}{
		{"[1, 2.5,-3e2]", "float64", []uint32{3}},
		{" [[1,2],[3,4],[5,6]]\r\n", "float64", []uint32{3, 2}},
		{"7", "float64", []uint32{}},
		{"[]", "float64", []uint32{0}},
		{"[[],[]]", "float64", []uint32{2, 0}},
		{"[[[]],[[]]]", "float64", []uint32{2, 1, 0}},
		{"[true,false]", "bool", []uint32{2}},
		{"[-128,127]", "int8", []uint32{2}},
		{"[-9223372036854775808,9223372036854775807]", "int64", []uint32{2}},
		{"[18446744073709551615]", "uint64", []uint32{1}},
		{"[[1],[2,3]]", "float64", nil},
		{"[[1],[]]", "float64", nil},
		{"[[],[1]]", "float64", nil},
		{"[[[]],[]]", "float64", nil},
		{"[1,[2]]", "float64", nil},
		{"[[1],2]", "float64", nil},
		{"[1,2", "float64", nil},
		{"[1,]", "float64", nil},
		{"[,1]", "float64", nil},
		{"[1]]", "float64", nil},
		{"[1] 2", "float64", nil},
		{"", "float64", nil},
		{"[01]", "float64", nil},
		{"[1.]", "float64", nil},
		{"[.5]", "float64", nil},
		{"[+1]", "float64", nil},
		{"[NaN]", "float64", nil},
		{"[1e400]", "float64", nil},
		{"[1e39]", "float32", nil},
		{"[1, null ]", "float64", []uint32{2}},
		{"[[null],[null]]", "float32", []uint32{2, 1}},
		{"null", "float64", nil},
		{" null", "float64", nil},
		{"[nulls]", "float64", nil},
		{"[null,[1]]", "float64", nil},
		{"[null]", "int64", nil},
		{"[null]", "bool", nil},
		{`["1"]`, "float64", nil},
		{"[true]", "float64", nil},
		{"[1]", "bool", nil},
		{"[128]", "int8", nil},
		{"[1.0]", "int64", nil},
		{"[9223372036854775808]", "int64", nil},
		{"[18446744073709551616]", "uint64", nil},
		{"[-1]", "uint8", nil},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "float64", nil},
		{strings.Repeat("[", 1<<20), "float64", nil},
	} {
		t.Run(fmt.Sprintf("%.40s as %s", test.text, test.dtype), func(t *testing.T) {
			t.Parallel()
			shape, _, ok := decode(test.text, test.dtype)
			if ok != (test.shape != nil) || ok && !slices.Equal(shape, test.shape) {
				t.Errorf("array %v of shape %v, want %v", ok, shape, test.shape)
			}
		})
	}
}

// decode reads an array as the front does.
func decode(text, dtype string) (shape []uint32, data []byte, ok bool) {
	ndim, ok := Dimensions([]byte(text))
	if !ok {
		return nil, nil, false
	}
	shape = make([]uint32, ndim)
	data, ok = DecoderOf(dtype).Append(nil, []byte(text), shape)
	return shape, data, ok
}

// FuzzDecodeArray: what encoding/json reads as a rectangle of numbers is an array with the same numbers, and nothing
// else is.
func FuzzDecodeArray(f *testing.F) {
	for _, text := range []string{
		"[[1,2],[3,4.5e-3]]", "[]", "[[],[]]", "-0", "[1,[2]]", " [ 1 , 2 ] ", "[[[1]],[[2]]]", "[1e999]", "[-0]",
		"[1,null]", "null", "[[null],[2]]", "[nul]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		shape, data, ok := decode(string(text), "float64")
		wantShape, want, rectangle := numbers(text)
		if ok != rectangle {
			t.Fatalf("%q: an array %v, want %v", text, ok, rectangle)
		}
		for dtype := range decoders {
			_, _, _ = decode(string(text), dtype) // does not panic
		}
		if !ok {
			return
		}
		if !slices.Equal(shape, wantShape) || len(data) != 8*len(want) {
			t.Fatalf("%q: shape %v with %d bytes, want %v with %d numbers", text, shape, len(data), wantShape,
				len(want))
		}
		for i, w := range want {
			if got := binary.LittleEndian.Uint64(data[8*i:]); got != math.Float64bits(w) {
				t.Fatalf("%q: number %d is %v, want %v", text, i, math.Float64frombits(got), w)
			}
		}
		again, at := EncoderOf("float64").Append(nil, shape, data)
		if at >= 0 {
			t.Fatalf("%q: number %d is not finite", text, at)
		}
		if shapeAgain, back, ok := decode(string(again), "float64"); !ok || !bytes.Equal(back, data) ||
			!slices.Equal(shapeAgain, shape) {
			t.Fatalf("%q came back as %q", text, again)
		}
	})
}

// numbers reads JSON with the standard library.
func numbers(text []byte) (shape []uint32, flat []float64, rectangle bool) {
	if !json.Valid(text) || strings.Count(string(text), "[") > 10_000 {
		return nil, nil, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return nil, nil, false
	}
	shape = []uint32{}
	for v := value; ; {
		list, ok := v.([]any)
		if !ok {
			break
		}
		shape = append(shape, uint32(len(list)))
		if len(list) == 0 {
			break
		}
		v = list[0]
	}
	var walk func(v any, depth int) bool
	walk = func(v any, depth int) bool {
		if depth == len(shape) {
			if v == nil && depth > 0 {
				flat = append(flat, math.NaN())
				return true
			}
			number, ok := v.(json.Number)
			if !ok {
				return false
			}
			x, err := strconv.ParseFloat(string(number), 64)
			if number == "-0" {
				x = 0
			}
			flat = append(flat, x)
			return err == nil
		}
		list, ok := v.([]any)
		if !ok || uint32(len(list)) != shape[depth] {
			return false
		}
		for _, one := range list {
			if !walk(one, depth+1) {
				return false
			}
		}
		return true
	}
	return shape, flat, len(shape) <= MaxDims && walk(value, 0)
}

// pythonReads prints what numpy makes of lines of dtype, tab, JSON: the shape and the bytes.
const pythonReads = `
import json, sys
import numpy as np
for line in sys.stdin:
    dtype, text = line.rstrip("\n").split("\t")
    array = np.asarray(json.loads(text), dtype)
    print(json.dumps(array.shape), array.tobytes().hex())
`

func TestArraysAreReadAsNumpyReadsThem(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	one := map[string]func() string{
		"float64": func() string {
			return strconv.FormatFloat(rng.NormFloat64()*math.Pow10(rng.IntN(600)-300), 'g', -1, 64)
		},
		"float32": func() string {
			return strconv.FormatFloat(rng.NormFloat64()*math.Pow10(rng.IntN(70)-35), 'g', -1, 64)
		},
		"int64":  func() string { return fmt.Sprint(int64(rng.Uint64() >> rng.IntN(64))) },
		"int32":  func() string { return fmt.Sprint(int32(rng.Uint32())) },
		"int16":  func() string { return fmt.Sprint(int16(rng.Uint32())) },
		"int8":   func() string { return fmt.Sprint(int8(rng.Uint32())) },
		"uint64": func() string { return fmt.Sprint(rng.Uint64() >> rng.IntN(64)) },
		"uint32": func() string { return fmt.Sprint(rng.Uint32()) },
		"uint16": func() string { return fmt.Sprint(uint16(rng.Uint32())) },
		"uint8":  func() string { return fmt.Sprint(uint8(rng.Uint32())) },
		"bool":   func() string { return fmt.Sprint(rng.IntN(2) == 0) },
	}
	var input strings.Builder
	var want []string
	for dtype := range decoders {
		for range 300 {
			rows, columns := rng.IntN(4), 1+rng.IntN(5)
			var lists []string
			for range rows {
				var row []string
				for range columns {
					row = append(row, one[dtype]())
				}
				lists = append(lists, "["+strings.Join(row, ", ")+"]")
			}
			text := "[" + strings.Join(lists, ",") + "]"
			shape, data, ok := decode(text, dtype)
			if !ok {
				continue // a number that is too large for a float32
			}
			shown, _ := json.Marshal(shape)
			fmt.Fprintf(&input, "%s\t%s\n", dtype, text)
			want = append(want, fmt.Sprintf("%s %x", strings.ReplaceAll(string(shown), ",", ", "), data))
		}
	}
	for i, got := range runPython(t, pythonReads, input.String()) {
		if strings.TrimSpace(got) != strings.TrimSpace(want[i]) {
			t.Fatalf("%s: numpy has %s, we have %s", strings.Split(input.String(), "\n")[i], got, want[i])
		}
	}
}
