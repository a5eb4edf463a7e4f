package front

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/metaml/metaml/agent/front/jsonarray"
)

func TestTheItemOfAnArray(t *testing.T) {
	t.Parallel()
	one, two := 1, 2
	for _, test := range []struct {
		text, dtype string
		ndim        *int
		want        string // shape and data; "": it is left to the worker
	}{
		{"[1,2,258]", "int16", nil, "[3] 010002000201"},
		{"[[1],[2],[3]]", "uint8", &two, "[3 1] 010203"},
		{"7", "int8", nil, "[] 07"},
		{"[]", "float64", &one, "[0] "},
		{"[1,2]", "float64", &two, ""},
		{"[[1]]", "float64", &one, ""},
		{"[1,[2]]", "float64", nil, ""},
		{"[1,2", "float64", nil, ""},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			item, ok := arrayItem([]byte("from before"), []byte(test.text), jsonarray.DecoderOf(test.dtype), test.ndim)
			if !ok {
				if test.want != "" {
					t.Errorf("it is left to the worker, want %s", test.want)
				}
				return
			}
			shape := []uint32{}
			for i := range int(item[1]) {
				shape = append(shape, binary.LittleEndian.Uint32(item[8+4*i:]))
			}
			prefix, length := itemPrefix(len(shape)), int(binary.LittleEndian.Uint32(item[4:]))
			if item[0] != itemArray || len(item) != prefix+pad8(length) {
				t.Fatalf("no item of an array: %x", item)
			}
			if got := fmt.Sprintf("%v %x", shape, item[prefix:prefix+length]); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestTheNameOfAnElement(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		shape []uint32
		at    int
		want  string
	}{{[]uint32{2, 3}, 4, "[1][1]"}, {[]uint32{5}, 0, "[0]"}, {nil, 0, "the result"}} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			if got := place(test.shape, test.at); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}
