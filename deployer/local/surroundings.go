package local

import (
	"os/user"
	"runtime"
	"strconv"
	"strings"
)

// threadVariables bound the threads of the numerical libraries, so that parallel trials share the cores.
var threadVariables = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}

// Environment shares the cores of this machine between so many processes, unless environ says how many threads each
// has.
func (t *Target) Environment(environ []string, processes int) map[string]string {
	for _, kv := range environ {
		for _, name := range threadVariables {
			if strings.HasPrefix(kv, name+"=") {
				return nil // the user's own choice
			}
		}
	}
	n := strconv.Itoa(max(1, runtime.NumCPU()/max(1, processes)))
	env := map[string]string{}
	for _, name := range threadVariables {
		env[name] = n
	}
	return env
}

// ID is "": there is one place on this machine.
func (t *Target) ID() string { return "" }

// Owner is the Hub's user, else the machine's.
func (t *Target) Owner(environ []string) string {
	for _, kv := range environ {
		if name, ok := strings.CutPrefix(kv, "JUPYTERHUB_USER="); ok && name != "" {
			return name
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Uid
	}
	return "unknown"
}
