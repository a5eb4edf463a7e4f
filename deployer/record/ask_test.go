package record

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// A worker that has just ended is started again in milliseconds, and requests wait for it: that is not called "not
// answering".
func TestAServerThatAnswersAMomentLaterAnswers(t *testing.T) {
	reader := &Reader{Dir: t.TempDir()}
	serving := func(waits int32) *run.Listed {
		var requests atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) <= waits {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(server.Close)
		return &run.Listed{
			Liveness: run.Alive, State: &run.State{Server: &run.Server{Address: server.URL + "/predict"}},
		}
	}
	soon, never := serving(2), serving(1<<20)
	reader.Ask(t.Context(), soon, never)
	if soon.Health != run.HealthReady || never.Health != run.HealthWaiting {
		t.Errorf("they are %s and %s", soon.Health, never.Health)
	}
}
