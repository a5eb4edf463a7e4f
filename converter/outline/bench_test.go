package outline

import (
	"strings"
	"testing"
)

// FuzzOf looks for texts that make Of fail in other ways than by saying false.
func FuzzOf(f *testing.F) {
	for _, file := range []string{"accepted.txt", "refused.txt"} {
		for _, text := range common(f, file) {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, ok := Of(text)
		if !ok {
			return
		}
		at := 0
		for _, s := range o.Statements {
			if s.Start < at || s.End <= s.Start || s.End > len(text) || s.EndRow < s.Row ||
				strings.Count(text[:s.Start], "\n") != s.Row || strings.Count(text[:s.End], "\n") != s.EndRow {
				t.Fatalf("%+v", s)
			}
			at = s.End
		}
	})
}

func BenchmarkOf(b *testing.B) {
	cell := strings.Repeat(`# A cell of a notebook.
df = pd.read_csv("data/train.csv", index_col=0)
x_train, x_test = train_test_split(df[["a", "b"]].fillna(0), test_size=0.25, random_state=42)
for epoch in range(10):
    loss = model.fit(x_train, epochs=1).history["loss"][-1]
    print(f"epoch {epoch}: loss {loss:.4f}")
`, 10)
	b.SetBytes(int64(len(cell)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Of(cell); !ok {
			b.Fatal("declined")
		}
	}
}
