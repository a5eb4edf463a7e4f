package nbformat

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// notebookOf makes a notebook of about so many bytes, as Jupyter writes it: cells of code with pictures in base64 and
// long lists of text lines as outputs.
func notebookOf(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	picture := make([]byte, 60_000)
	for i := range picture {
		picture[i] = byte(rng.Uint32())
	}
	image := base64.StdEncoding.EncodeToString(picture)
	var b bytes.Buffer
	b.WriteString("{\n \"cells\": [")
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n  {\n   \"cell_type\": \"code\",\n   \"execution_count\": %d,\n   \"id\": \"%08x\",\n"+
			"   \"metadata\": {},\n   \"outputs\": [\n", i+1, i)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "    {\n     \"data\": {\n      \"image/png\": \"%s\\n\",\n      \"text/plain\": [\n"+
				"       \"<Figure size 640x480 with 1 Axes>\"\n      ]\n     },\n     \"metadata\": {},\n"+
				"     \"output_type\": \"display_data\"\n    }\n", image)
		case 1:
			b.WriteString("    {\n     \"name\": \"stdout\",\n     \"output_type\": \"stream\",\n     \"text\": [\n")
			for line := range 400 {
				fmt.Fprintf(&b, "      \"epoch %d: loss %.6f, accuracy %.4f, %d samples/s\\n\",\n", line, rng.Float64(),
					rng.Float64(), rng.IntN(10000))
			}
			b.WriteString("      \"done\\n\"\n     ]\n    }\n")
		}
		b.WriteString("   ],\n   \"source\": [\n")
		for line := range 12 {
			fmt.Fprintf(&b, "    \"x_%d = model.fit(data[%d], epochs=%d)  # a line of code\\n\",\n", line, line, i)
		}
		b.WriteString("    \"x_0.plot()\"\n   ]\n  }")
	}
	b.WriteString("\n ],\n \"metadata\": {\n  \"language_info\": {\n   \"name\": \"python\"\n  }\n },\n" +
		" \"nbformat\": 4,\n \"nbformat_minor\": 5\n}\n")
	return b.Bytes()
}

var sizes = []struct {
	name string
	size int
}{{"10kB", 10_000}, {"1.4MB", 1_400_000}, {"54MB", 54_000_000}}

func BenchmarkRead(b *testing.B) {
	for _, c := range sizes {
		data := notebookOf(c.size)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range sizes {
		data := notebookOf(c.size)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPlain(b *testing.B) {
	text := []byte(strings.Repeat("a", 1<<20))
	b.SetBytes(1 << 20)
	for b.Loop() {
		if plain(text) != len(text) {
			b.Fatal("not all of it")
		}
	}
}
