package collect

import (
	"fmt"
	"testing"
)

// BenchmarkReports is what a thousand reports cost the monitor beside HTTP and disk: as a hundred batches of ten lines,
// read, kept and given to a reader.
func BenchmarkReports(b *testing.B) {
	b.ReportAllocs()
	var lines []byte
	for i := range 10 {
		lines = fmt.Appendf(lines, `{"n":%d,"type":"trial.report","trial":3,"time":"2026-11-29T12:00:00.000Z",`+
			`"metrics":{"loss":0.123456,"accuracy":0.98},"step":%d}`+"\n", i, i)
	}
	limits := DefaultLimits
	limits.File, limits.Run = 1<<40, 1<<40
	store, err := OpenStore(sink{}, "s", limits)
	if err != nil {
		b.Fatal(err)
	}
	feed := store.Feed(nil)
	buffer, body, message := make([]byte, MaxBatch), []byte(nil), []byte(nil)
	var offset, total int64
	for b.Loop() {
		for range 100 {
			body = AppendBatch(body[:0], Batch{pod1, []Piece{{"events.jsonl", offset, lines}}})
			batch, err := DecodeBatch(body)
			if err != nil {
				b.Fatal(err)
			}
			answer, err := store.Take(time0, batch)
			if err != nil {
				b.Fatal(err)
			}
			answer.Encode()
			offset += int64(len(lines))
			message, _, err = feed.Message(time0, buffer, message)
			if err != nil || len(message) < len(lines) {
				b.Fatal(len(message), err)
			}
			total += int64(len(lines))
			if err := feed.Took(time0, total); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// sink is a disk that costs nothing.
type sink struct{}

func (sink) Write(_ string, data []byte, _ int64) (int, error) { return len(data), nil }
func (sink) Read(string, []byte, int64) error                  { return nil }
func (sink) Replace(string, []byte) error                      { return nil }
func (sink) Load(string, int64) ([]byte, error)                { return nil, nil }
func (sink) Remove(string) error                               { return nil }
func (sink) Walk(func(string, int64)) error                    { return nil }
