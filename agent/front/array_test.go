package front

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// TestNumbersAreReadAsStrconvReadsThem tries the edges, and many numbers in all the ways that they are written.
func TestNumbersAreReadAsStrconvReadsThem(t *testing.T) {
	t.Parallel()
	texts := []string{
		"0", "-0.0", "0.1", "1e22", "1e23", "-1.5e-7", "9007199254740993", "9007199254740992.5",
		"1.7976931348623157e308", "1e400",
		"4.9e-324", "2.4703282292062327e-324", "0.00000000000000000000000000001234567890123456789",
		"123456789012345678901234567890",
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

func TestWhatIsAnArray(t *testing.T) {
	t.Parallel()
	two := 2
	for _, test := range []struct {
		text, dtype string
		ndim        *int
		shape       []uint32 // nil: it is left to the worker
	}{
		{"[1, 2.5,-3e2]", "float64", nil, []uint32{3}},
		{" [[1,2],[3,4],[5,6]]\r\n", "float64", &two, []uint32{3, 2}},
		{"7", "float64", nil, []uint32{}},
		{"[]", "float64", nil, []uint32{0}},
		{"[[],[]]", "float64", nil, []uint32{2, 0}},
		{"[[[]],[[]]]", "float64", nil, []uint32{2, 1, 0}},
		{"[true,false]", "bool", nil, []uint32{2}},
		{"[-128,127]", "int8", nil, []uint32{2}},
		{"[-9223372036854775808,9223372036854775807]", "int64", nil, []uint32{2}},
		{"[18446744073709551615]", "uint64", nil, []uint32{1}},
		{"[1,2]", "float64", &two, nil},
		{"[[1],[2,3]]", "float64", nil, nil},
		{"[[1],[]]", "float64", nil, nil},
		{"[[],[1]]", "float64", nil, nil},
		{"[[[]],[]]", "float64", nil, nil},
		{"[1,[2]]", "float64", nil, nil},
		{"[[1],2]", "float64", nil, nil},
		{"[1,2", "float64", nil, nil},
		{"[1,]", "float64", nil, nil},
		{"[,1]", "float64", nil, nil},
		{"[1]]", "float64", nil, nil},
		{"[1] 2", "float64", nil, nil},
		{"", "float64", nil, nil},
		{"[01]", "float64", nil, nil},
		{"[1.]", "float64", nil, nil},
		{"[.5]", "float64", nil, nil},
		{"[+1]", "float64", nil, nil},
		{"[NaN]", "float64", nil, nil},
		{"[1e400]", "float64", nil, nil},
		{"[1e39]", "float32", nil, nil},
		{"[1, null ]", "float64", nil, []uint32{2}},
		{"[[null],[null]]", "float32", &two, []uint32{2, 1}},
		{"null", "float64", nil, nil},
		{" null", "float64", nil, nil},
		{"[nulls]", "float64", nil, nil},
		{"[null,[1]]", "float64", nil, nil},
		{"[null]", "int64", nil, nil},
		{"[null]", "bool", nil, nil},
		{`["1"]`, "float64", nil, nil},
		{"[true]", "float64", nil, nil},
		{"[1]", "bool", nil, nil},
		{"[128]", "int8", nil, nil},
		{"[1.0]", "int64", nil, nil},
		{"[9223372036854775808]", "int64", nil, nil},
		{"[18446744073709551616]", "uint64", nil, nil},
		{"[-1]", "uint8", nil, nil},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "float64", nil, nil},
		{strings.Repeat("[", 1<<20), "float64", nil, nil},
	} {
		item, ok := decodeArray(nil, []byte(test.text), decoders[test.dtype], test.ndim)
		if ok != (test.shape != nil) {
			t.Errorf("%.40s as %s: array %v, want %v", test.text, test.dtype, ok, test.shape)
			continue
		}
		if ok {
			if shape, _ := itemArrayOf(t, item); !slices.Equal(shape, test.shape) {
				t.Errorf("%.40s as %s: shape %v, want %v", test.text, test.dtype, shape, test.shape)
			}
		}
	}
}

// itemArrayOf takes the item of a call apart.
func itemArrayOf(t *testing.T, item []byte) (shape []uint32, data []byte) {
	t.Helper()
	if len(item) < 8 || item[0] != itemArray || len(item)%8 != 0 {
		t.Fatalf("no item of an array: %x", item)
	}
	shape = []uint32{}
	for i := range int(item[1]) {
		shape = append(shape, binary.LittleEndian.Uint32(item[8+4*i:]))
	}
	prefix, length := itemPrefix(len(shape)), int(binary.LittleEndian.Uint32(item[4:]))
	if len(item) != prefix+pad8(length) {
		t.Fatalf("an item of %d bytes for %d at %d", len(item), length, prefix)
	}
	return shape, item[prefix : prefix+length]
}

// FuzzDecodeArray: what encoding/json reads as a rectangle of numbers is an array with the same numbers, and nothing
// else is.
func FuzzDecodeArray(f *testing.F) {
	for _, text := range []string{
		"[[1,2],[3,4.5e-3]]", "[]", "[[],[]]", "-0", "[1,[2]]", " [ 1 , 2 ] ",
		"[[[1]],[[2]]]", "[1e999]", "[-0]", "[1,null]", "null", "[[null],[2]]", "[nul]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		item, ok := decodeArray(nil, text, decoders["float64"], nil)
		wantShape, want, rectangle := numbers(text)
		if ok != rectangle {
			t.Fatalf("%q: an array %v, want %v", text, ok, rectangle)
		}
		for _, number := range decoders {
			_, _ = decodeArray(nil, text, number, nil) // does not panic
		}
		if !ok {
			return
		}
		shape, data := itemArrayOf(t, item)
		if !slices.Equal(shape, wantShape) || len(data) != 8*len(want) {
			t.Fatalf("%q: shape %v with %d bytes, want %v with %d numbers", text, shape, len(data), wantShape,
				len(want))
		}
		for i, w := range want {
			if got := binary.LittleEndian.Uint64(data[8*i:]); got != math.Float64bits(w) {
				t.Fatalf("%q: number %d is %v, want %v", text, i, math.Float64frombits(got), w)
			}
		}
		again, at := encoders["float64"].encode(nil, shape, data)
		if at >= 0 {
			t.Fatalf("%q: number %d is not finite", text, at)
		}
		if back, ok := decodeArray(nil, again, decoders["float64"], nil); !ok || !bytes.Equal(back, item) {
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
	return shape, flat, len(shape) <= maxDims && walk(value, 0)
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

// pythonWrites prints the JSON that the module makes of lines of dtype, tab, hexadecimal bytes.
const pythonWrites = `
import sys
import numpy as np
from metaml._values.json_text import to_json
for line in sys.stdin:
    dtype, data = line.split("\t")
    print(to_json(np.frombuffer(bytes.fromhex(data), dtype)).decode())
`

// runPython runs a script and gives the lines that it printed.
func runPython(t *testing.T, script, input string) []string {
	t.Helper()
	c := exec.CommandContext(t.Context(), venv.Python(t), "-c", script)
	c.Env = append(c.Environ(), "PYTHONPATH="+module(t))
	c.Stdin = strings.NewReader(input)
	var failure bytes.Buffer
	c.Stderr = &failure
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, failure.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

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
	for dtype, number := range decoders {
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
			item, ok := decodeArray(nil, []byte(text), number, nil)
			if !ok {
				continue // a number that is too large for a float32
			}
			shape, data := itemArrayOf(t, item)
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

func TestArraysAreWrittenAsPythonWritesThem(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var input strings.Builder
	var want []string
	add := func(dtype string, data []byte) {
		e := encoders[dtype]
		text, at := e.encode(nil, []uint32{uint32(len(data) / e.size)}, data)
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
		data := make([]byte, 100*e.size)
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
		123456789, 1.5e300,
		5e-324, math.MaxFloat64, 1e22, 1e21, 0.30000000000000004, 1234567890123456.7,
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
				t.Fatalf("%.8s…, number %d: we write %s, Python %s", strings.Split(input.String(), "\n")[i], j, ours[j],
					theirs[min(j, len(theirs)-1)])
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
	e := encoders["float64"]
	if got, at := e.encode(nil, []uint32{2, 3}, data); string(got) != "[[0.0,1.0,2.0],[3.0,4.0,5.0]]" || at >= 0 {
		t.Errorf("got %s, %d", got, at)
	}
	binary.LittleEndian.PutUint64(data[24:], math.Float64bits(math.NaN()))
	if got, at := e.encode(nil, []uint32{2, 3}, data); string(got) != "[[0.0,1.0,2.0],[null,4.0,5.0]]" || at >= 0 {
		t.Errorf("with a missing value: %s, %d", got, at)
	}
	binary.LittleEndian.PutUint64(data[32:], math.Float64bits(math.Inf(1)))
	if _, at := e.encode(nil, []uint32{2, 3}, data); at != 4 || place([]uint32{2, 3}, at) != "[1][1]" {
		t.Errorf("infinity found at %d, which is %s", at, place([]uint32{2, 3}, max(at, 0)))
	}
}

func TestMissingNumbersOfEverySizeAreNull(t *testing.T) {
	t.Parallel()
	for dtype, data := range map[string][]byte{
		"float64": binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN())),
		"float32": binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN()))),
		"float16": {0x00, 0x7e},
	} {
		if got, at := encoders[dtype].encode(nil, nil, data); string(got) != "null" || at >= 0 {
			t.Errorf("%s: %s, %d", dtype, got, at)
		}
	}
}

func TestAnObjectWithTheParametersNameIsItsValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"x": [1, 2]}`:        ` [1, 2]`,
		" {\n\"x\" :[1] }\r\n": `[1] `,
		`{"x": [1], "y": [2]}`: ` [1], "y": [2]`, // which is no array
		`{"y": [1]}`:           `{"y": [1]}`,
		`{"x"}`:                `{"x"}`,
		`{"x":`:                `{"x":`,
		`{"x": [1]`:            `{"x": [1]`,
		`[1]`:                  `[1]`,
		``:                     ``,
		`{`:                    `{`,
		`{"xy": [1]}`:          `{"xy": [1]}`,
	} {
		if got := string(named([]byte(text), "x")); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
