package jsonarray

import "testing"

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
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := string(Unwrap([]byte(text), "x")); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
