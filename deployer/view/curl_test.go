package view

import "testing"

func TestACommandLineAsksTheServer(t *testing.T) {
	t.Parallel()
	const at = "http://127.0.0.1:8000"
	for _, test := range []struct{ path, example, want string }{
		{"/predict", "", "curl -d '…' " + at + "/predict"},
		{"/predict", `{"a": "it's"}`, `curl -d '{"a": "it'\''s"}' ` + at + "/predict"},
		{"/v1/models/m:predict", "1", "curl -d '1' " + at + "/v1/models/m:predict"},
		{"/a&b", "1", "curl -d '1' '" + at + "/a&b'"},
		{"/items/{id}", `{"id": 7}`, "curl " + at + "/items/7"},
		{"/items/{id}", `{"id": "a/$b c", "text": "x"}`, `curl -d '{"text":"x"}' '` + at + "/items/a%2F$b%20c'"},
		{"/items/{id}", "", "curl -d '…' -g '" + at + "/items/{id}'"},
		{"/items/{id}/{n}", `{"id": 7}`, "curl -d '…' -g '" + at + "/items/{id}/{n}'"},
	} {
		t.Run(test.path+" "+test.example, func(t *testing.T) {
			t.Parallel()
			if got := Curl(at+test.path, test.example); got != test.want {
				t.Errorf("%s with %s: %s, want %s", test.path, test.example, got, test.want)
			}
		})
	}
	if got := Curl("", "1"); got != "" {
		t.Errorf("without an address: %s", got)
	}
}
