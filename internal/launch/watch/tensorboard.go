package watch

import (
	"net/url"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// LiveTensorBoard is where the run's TensorBoard is now, or "": it ends with the run and with its monitor.
func LiveTensorBoard(l *run.Listed) string {
	if l.Liveness != run.Alive {
		return ""
	}
	return TensorBoard(l.State)
}

// TensorBoard finds the address that the run's monitor announced last.
func TensorBoard(s *run.State) string {
	address := ""
	for _, n := range s.Notes {
		if n.Code == run.NoteTensorBoard && !n.Time.Before(s.Resumed) {
			address = n.Text
		}
	}
	return address
}

// Reachable gives an address of this machine as the person's browser reaches it: through the Hub's proxy, below the
// path prefix, where there is one.
func Reachable(address, prefix string) string {
	u, err := url.Parse(address)
	if prefix == "" || err != nil || u.Port() == "" {
		return address
	}
	return strings.TrimSuffix(prefix, "/") + "/proxy/" + u.Port() + "/"
}
