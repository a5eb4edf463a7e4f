// Package environ reads an environment that is not this process's own, as that of a session. It imports the standard
// library alone, and every package may import it.
package environ

import (
	"slices"
	"strings"
)

// Get looks a variable up in an environment as os.Environ gives it, of which the last entry counts; "" where it has
// none.
func Get(environ []string, name string) string {
	for _, v := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}
