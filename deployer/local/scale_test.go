package local

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestMoreWorkersThanAServerCanHaveAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                       string
		replicas, workers, scaleTo int
		want                       string
	}{
		{"as many as there may be", 16, 256, 0, ""},
		{"one replica more", 17, 256, 0, "a server on this machine has at most 4096 workers, not 4352\n" +
			"Its workers are replicas × workers."},
		{"scaled to as many", 1, 256, 16, ""},
		{"scaled to one more", 1, 256, 17, "a server on this machine has at most 4096 workers, not 4352\n" +
			"Its workers are replicas × workers."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, spec := "", run.Spec{Server: &run.ServerSpec{Replicas: test.replicas, Workers: test.workers}}
			if err := enough(&spec, test.scaleTo); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
