package ship_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/pod/ship"
)

func TestExpectedValuesLeaveAsCodes(t *testing.T) {
	expected := `{"v": 2, "environment": {"machine": "planted", "threads": 424242, "packages": {"numpy": "2.4.6"}},
		"variables": {"TOKEN": "planted"}, "seeded": {"numpy": 3},
		"values": {
			"token": {"type": "str", "digest": "d1", "repr": "'ghp_plantedToken'", "visits": 32, "lines": [[1, 2]],
				"left_out": {"place": "cell 3, line 2", "statement": "planted = …"}},
			"x": {"type": "float", "digest": "d2", "frame": "f2", "numbers": [[424242, 424243]], "repr": "-1e-07"},
			"names": {"type": "dict", "digest": "d3", "size": 424242, "unit": "entry", "sampled": true,
				"parts": {"[\"planted\"]": {"type": "int", "digest": "d4", "repr": "424242"}}},
			"data": {"type": "numpy.array", "digest": "d5", "shape": [3, 4], "dtype": "float64"},
			"one": {"type": "numpy.scalar", "digest": "d6", "shape": [], "dtype": "int64"},
			"model": {"type": "sklearn.svm._classes.SVC", "digest": "d7", "packages": ["sklearn"]},
			"lock": {"type": "_thread.lock", "opaque": true}}}`
	masked, err := ship.Masked([]byte(expected), "key")
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"ghp", "planted", "42424", "e-07", `"d1"`, `"d4"`, `"f2"`} {
		if strings.Contains(string(masked), planted) {
			t.Errorf("%s is in %s", planted, masked)
		}
	}
	var got struct {
		Environment map[string]any
		Seeded      map[string]int
		Values      map[string]map[string]any
	}
	if err := json.Unmarshal(masked, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "x", "names", "data", "one", "model"} {
		if code, _ := got.Values[name]["digest"].(string); len(code) != 64 {
			t.Errorf("the code of %s is %q", name, code)
		}
		delete(got.Values[name], "digest")
	}
	for _, name := range []string{"frame", "numbers"} {
		delete(got.Values["x"], name)
	}
	if diff := cmp.Diff(map[string]map[string]any{
		"token": {
			"type": "str", "visits": 32., "lines": []any{[]any{1., 2.}},
			"left_out": map[string]any{"place": "cell 3, line 2"},
		},
		"x": {"type": "float"}, "names": {"type": "dict", "sampled": true},
		"data":  {"type": "numpy.array", "shape": []any{3., 4.}, "dtype": "float64"},
		"one":   {"type": "numpy.scalar", "shape": []any{}, "dtype": "int64"},
		"model": {"type": "sklearn.svm._classes.SVC", "packages": []any{"sklearn"}},
		"lock":  {"type": "_thread.lock", "opaque": true},
	}, got.Values); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"packages": map[string]any{"numpy": "2.4.6"}}, got.Environment); diff != "" ||
		got.Seeded["numpy"] != 3 {
		t.Errorf("what is left beside the values: %v (-want +got):\n%s", got.Seeded, diff)
	}
}

// test_values_differences.py has the same codes: they are made here and compared there.
func TestTheCodesOfAValue(t *testing.T) {
	masked, err := ship.Masked([]byte(`{"v":2,"values":{"é":{"type":"float","digest":"d","numbers":[[1,-2]]}}}`), "key")
	const want = `{"v":2,"values":{"é":{"type":"float","digest":"` +
		`0aabf02190f99e3f81054b00a5528bd14f2584150fd135a119e3ead83470cebd","numbers":[["` +
		`978ceaf6a046118943867ececb20129fd02cf30d111f982270a1203a3e42e15e",` +
		`"727e0aa1f499b15ce5298efe1964f145b57ecddaa20216c35d433f7931eeec00"]]}}}`
	if err != nil || string(masked) != want {
		t.Errorf("%s, %v, want %s", masked, err, want)
	}
}

func TestWhatMayBeAValueIsRefused(t *testing.T) {
	for _, c := range []struct{ name, expected, key string }{
		{"an unknown field", `{"v": 2, "values": {"x": {"value": "secret"}}}`, "key"},
		{"an unknown field beside the values", `{"v": 2, "secrets": ["secret"]}`, "key"},
		{"another version", `{"v": 3, "values": {}}`, "key"},
		{"no key", `{"v": 2, "values": {}}`, ""},
		{"numbers that are texts", `{"v": 2, "values": {"x": {"numbers": [["secret", "secret"]]}}}`, "key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if masked, err := ship.Masked([]byte(c.expected), c.key); err == nil {
				t.Errorf("it is %s", masked)
			}
		})
	}
}

func FuzzMasked(f *testing.F) {
	f.Add([]byte(`{"v": 2, "values": {"token": {"type": "str", "repr": "'secret'"}, "x": {"shape": [1]}}}`))
	f.Fuzz(func(t *testing.T, expected []byte) {
		masked, err := ship.Masked(expected, "key")
		if err != nil {
			return
		}
		var got struct{ Values map[string]map[string]any }
		if err := json.Unmarshal(masked, &got); err != nil {
			t.Fatalf("%q became %q: %v", expected, masked, err)
		}
		for name, v := range got.Values {
			for _, field := range []string{"repr", "size", "unit", "parts"} {
				if v[field] != nil {
					t.Errorf("%s of %s is in %s", field, name, masked)
				}
			}
		}
	})
}
