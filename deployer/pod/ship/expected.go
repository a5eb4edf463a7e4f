package ship

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// expected is what the session's values were (docs/internals/protocols.md §2).
type expected struct {
	V           int                   `json:"v"`
	Environment environment           `json:"environment,omitzero"`
	Variables   map[string]string     `json:"variables,omitempty"`
	Values      map[string]*described `json:"values"`
	Seeded      map[string]int        `json:"seeded,omitempty"`
}

type environment struct {
	Machine  string            `json:"machine,omitempty"`
	Threads  int               `json:"threads,omitempty"`
	Packages map[string]string `json:"packages,omitempty"`
}

// described is one value, or a part of one.
type described struct {
	Type     string                `json:"type"`
	Opaque   bool                  `json:"opaque,omitempty"` // it cannot be compared
	Digest   string                `json:"digest,omitempty"`
	Frame    string                `json:"frame,omitempty"`
	Numbers  [][2]json.RawMessage  `json:"numbers,omitempty"`
	Sampled  bool                  `json:"sampled,omitempty"`
	Visits   int                   `json:"visits,omitempty"`
	Repr     string                `json:"repr,omitempty"`
	Size     *int                  `json:"size,omitempty"`
	Unit     string                `json:"unit,omitempty"`
	Shape    *[]int                `json:"shape,omitempty"` // that of a single number is there, and empty
	Dtype    string                `json:"dtype,omitempty"`
	Packages []string              `json:"packages,omitempty"`
	Parts    map[string]*described `json:"parts,omitempty"`
	Lines    [][2]int              `json:"lines,omitempty"`
	LeftOut  *leftOut              `json:"left_out,omitempty"`
}

// leftOut is a statement that is not in the program.
type leftOut struct {
	Place     string `json:"place"`
	Statement string `json:"statement,omitempty"`
}

// errVersion is another version's file, which nothing is compared with.
var errVersion = errors.New("the values of the session were described by another version of MetaML")

// expectedVersion is the version of expected.json.
const expectedVersion = 2

// NewKey makes the key of a run, for [Masked]. It belongs into a Secret: who has both it and the file can try values
// out.
func NewKey() string {
	return rand.Text()
}

// Masked is expected.json without values. Digests become codes, the HMAC-SHA256 of name and digest under a key; names,
// types, shapes and dtypes stay, and where a statement stands that was left out. What a value looks like, how long it
// is, what its parts are called, and the text of statements go. What it does not know is refused: it may be a value.
func Masked(data []byte, key string) ([]byte, error) {
	if key == "" {
		return nil, fmt.Errorf("take values out of the expected names: there is no key")
	}
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &version); err == nil && version.V != expectedVersion {
		return nil, errVersion
	}
	var all expected
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("read what the session's values were: %w", err)
	}
	// What numbers' last digits depend on is known to be otherwise; versions of packages are in requires.json, too.
	all.Environment = environment{Packages: all.Environment.Packages}
	all.Variables = nil
	for name, v := range all.Values {
		if v == nil {
			delete(all.Values, name)
			continue
		}
		masked, err := v.masked(name, key)
		if err != nil {
			return nil, err
		}
		all.Values[name] = masked
	}
	return json.Marshal(all)
}

// masked is what of a value may leave.
func (d *described) masked(name, key string) (*described, error) {
	m := &described{
		Type: d.Type, Opaque: d.Opaque, Sampled: d.Sampled, Visits: d.Visits, Shape: d.Shape, Dtype: d.Dtype,
		Packages: d.Packages, Lines: d.Lines,
	}
	if d.LeftOut != nil {
		m.LeftOut = &leftOut{Place: d.LeftOut.Place}
	}
	if d.Digest != "" {
		m.Digest = code(key, name, d.Digest)
	}
	if d.Frame != "" {
		m.Frame = code(key, name, d.Frame)
	}
	for _, cells := range d.Numbers {
		var coded [2]json.RawMessage
		for i, cell := range cells {
			var n int64
			if err := json.Unmarshal(cell, &n); err != nil {
				return nil, fmt.Errorf("read what the session's values were: a number of %s: %w", name, err)
			}
			text, err := json.Marshal(code(key, fmt.Sprintf("%s\x00%d", name, i), fmt.Sprint(n)))
			if err != nil {
				return nil, err
			}
			coded[i] = text
		}
		m.Numbers = append(m.Numbers, coded)
	}
	return m, nil
}

func code(key, name, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s\x00%s", name, text)
	return hex.EncodeToString(mac.Sum(nil))
}
