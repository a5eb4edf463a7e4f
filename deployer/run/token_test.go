package run

import (
	"strings"
	"testing"
)

func TestTokensAreMadeAndRead(t *testing.T) {
	t.Parallel()
	made := NewToken()
	if len(made) != 43 || made == NewToken() {
		t.Errorf("%q was made", made)
	}
	for name, test := range map[string]struct {
		file, token string // "": it is refused
	}{
		"as it was made":        {made, made},
		"with a line end":       {made + "\n", made},
		"in base64 with its =":  {strings.Repeat("a+/~._-", 5) + "==", strings.Repeat("a+/~._-", 5) + "=="},
		"nothing":               {"\n", ""},
		"too short":             {made[:31], ""},
		"a space in it":         {made[:20] + " " + made[20:], ""},
		"two lines":             {made + "\n" + made, ""},
		"a letter that is none": {made + "ä", ""},
		"= within":              {"=" + made, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := ReadToken([]byte(test.file))
			if token != test.token || (err == nil) != (test.token != "") {
				t.Errorf("%q, %v", token, err)
			}
			if err != nil && strings.Contains(err.Error(), made[:20]) {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}
