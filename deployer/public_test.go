package deployer

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhoMayUseAServerThatIsReachedFromOutside(t *testing.T) {
	const asks = "serve-1 asks callers for no token: whoever reaches "
	for _, c := range []struct {
		name   string
		server run.ServerSpec
		want   string
	}{
		{"in its cluster alone", run.ServerSpec{}, ""},
		{
			"ingress",
			run.ServerSpec{Ingress: "serve.example"},
			asks + "serve.example may use it (--auth token asks for one)",
		},
		{"with a token", run.ServerSpec{Ingress: "serve.example", Auth: run.AuthToken}, ""},
		{"expose", run.ServerSpec{Expose: true}, asks + "its load balancer may use it (--auth token asks for one)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := openNote(&run.Spec{Name: "serve-1@lab/team", Server: &c.server}); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
