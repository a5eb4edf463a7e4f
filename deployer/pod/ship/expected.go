package ship

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// look is how a value looked in the session (docs/internals/protocols.md §2), or, in place of its repr, a code of it.
type look struct {
	Repr  string `json:"repr,omitempty"`
	MAC   string `json:"mac,omitempty"`
	Shape *[]int `json:"shape,omitempty"` // that of a single number is there, and empty
	Dtype string `json:"dtype,omitempty"`
	Type  string `json:"type,omitempty"`
}

// NewKey makes the key of a run, for [Masked]. It belongs into a Secret: who has both it and the file can try values
// out.
func NewKey() string {
	return rand.Text()
}

// Masked is expected.json without values. The repr of a text or a number becomes its type and a code, the HMAC-SHA256
// of name and repr under a key; names, shapes and types stay. What it does not know is refused, for it may be a value.
func Masked(expected []byte, key string) ([]byte, error) {
	if key == "" {
		return nil, fmt.Errorf("take values out of the expected names: there is no key")
	}
	var looks map[string]look
	d := json.NewDecoder(bytes.NewReader(expected))
	d.DisallowUnknownFields()
	if err := d.Decode(&looks); err != nil {
		return nil, fmt.Errorf("read how names looked in the session: %w", err)
	}
	for name, l := range looks {
		if l.Repr == "" {
			continue
		}
		code := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(code, "%s\x00%s", name, l.Repr)
		looks[name] = look{MAC: hex.EncodeToString(code.Sum(nil)), Type: typeOf(l.Repr)}
	}
	return json.Marshal(looks)
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// typeOf gives the type of a value by its repr, as the session gives types.
func typeOf(repr string) string {
	switch {
	case repr == "None":
		return "builtins.NoneType"
	case repr == "True" || repr == "False":
		return "builtins.bool"
	case strings.HasPrefix(repr, "'") || strings.HasPrefix(repr, `"`):
		return "builtins.str"
	case integer.MatchString(repr):
		return "builtins.int"
	default:
		return "builtins.float"
	}
}
