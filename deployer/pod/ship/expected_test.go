package ship_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/pod/ship"
)

func TestExpectedNamesLeaveWithoutValues(t *testing.T) {
	expected := `{"token": {"repr": "'ghp_plantedToken'"}, "n": {"repr": "424242"}, "x": {"repr": "-1e-07"},
		"flag": {"repr": "True"}, "nothing": {"repr": "None"}, "data": {"shape": [3, 4], "dtype": "float64"},
		"one": {"shape": [], "dtype": "int64"}, "model": {"type": "sklearn.svm._classes.SVC"}}`
	masked, err := ship.Masked([]byte(expected), "key")
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"ghp", "planted", "424242", "e-07", "True"} {
		if strings.Contains(string(masked), planted) {
			t.Errorf("%s is in %s", planted, masked)
		}
	}
	var got map[string]map[string]any
	if err := json.Unmarshal(masked, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "n", "x", "flag", "nothing"} {
		if code, _ := got[name]["mac"].(string); len(code) != 64 {
			t.Errorf("the code of %s is %q", name, code)
		}
		delete(got[name], "mac")
	}
	if diff := cmp.Diff(map[string]map[string]any{
		"token": {"type": "builtins.str"}, "n": {"type": "builtins.int"}, "x": {"type": "builtins.float"},
		"flag": {"type": "builtins.bool"}, "nothing": {"type": "builtins.NoneType"},
		"data": {"shape": []any{3., 4.}, "dtype": "float64"}, "one": {"shape": []any{}, "dtype": "int64"},
		"model": {"type": "sklearn.svm._classes.SVC"},
	}, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// test_values_fingerprint.py has the same code: it is made here and compared there.
func TestTheCodeOfAValue(t *testing.T) {
	masked, err := ship.Masked([]byte(`{"x": {"repr": "'é'"}}`), "key")
	const want = `{"x":{"mac":"680e2eba89022f73cd9f6839808c7dc67b9bfa683072823688272f2b2e32c3ea",` +
		`"type":"builtins.str"}}`
	if err != nil || string(masked) != want {
		t.Errorf("%s, %v, want %s", masked, err, want)
	}
}

func TestWhatMayBeAValueIsRefused(t *testing.T) {
	for _, c := range []struct{ name, expected, key string }{
		{"an unknown field", `{"x": {"value": "secret"}}`, "key"},
		{"no key", `{"x": {"repr": "1"}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if masked, err := ship.Masked([]byte(c.expected), c.key); err == nil {
				t.Errorf("it is %s", masked)
			}
		})
	}
}

func FuzzMasked(f *testing.F) {
	f.Add([]byte(`{"token": {"repr": "'secret'"}, "x": {"shape": [1]}}`))
	f.Fuzz(func(t *testing.T, expected []byte) {
		masked, err := ship.Masked(expected, "key")
		if err != nil {
			return
		}
		if again, err := ship.Masked(masked, "key"); err != nil || string(again) != string(masked) {
			t.Errorf("%q became %s and then %s, %v", expected, masked, again, err)
		}
	})
}
