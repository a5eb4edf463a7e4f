package collect

import (
	"errors"
	"fmt"
	"strings"
)

// sourceFile is the file beside those of a source that says which trial it is.
const sourceFile = "source.json"

// maxID bounds the name of a source, in bytes: a UID has 36.
const maxID = 64

// CheckSource says what is wrong with a source.
func CheckSource(s Source) error {
	if err := checkID(s.ID); err != nil {
		return err
	}
	if s.Trial < 0 || s.Attempt < 0 || s.Round < 0 {
		return fmt.Errorf("the source %q has a negative trial, attempt or round", s.ID)
	}
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("the name of a source has 1 to %d characters, not %d", maxID, len(id))
	}
	for i := range len(id) {
		if c := id[i]; !letter(c) && (c != '-' || i == 0) {
			return fmt.Errorf("the name of the source %q has other characters than letters, digits and hyphens", id)
		}
	}
	return nil
}

// CheckName says what is wrong with the name of a file of a source: a path with slashes, whose parts are made of
// letters, digits and a few other characters and do not begin with a dot. So it stays in the folder it is joined to, on
// every system.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("a file without a name")
	case len(name) > MaxName:
		return fmt.Errorf("the name %.20q… is longer than %d bytes", name, MaxName)
	case name == sourceFile || strings.HasPrefix(name, sourceFile+"/"):
		return fmt.Errorf("the name %q is taken", name)
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		depth++
		if part == "" || part[0] == '.' {
			return fmt.Errorf("the name %q has a part that is empty or begins with a dot", name)
		}
		for i := range len(part) {
			if !letter(part[i]) && !strings.ContainsRune("._-=+,@~", rune(part[i])) {
				return fmt.Errorf("the name %q has the character %q; letters, digits and ._-=+,@~ may be in it",
					name, part[i])
			}
		}
	}
	if depth > MaxDepth {
		return fmt.Errorf("the name %q has more than %d levels", name, MaxDepth)
	}
	return nil
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
