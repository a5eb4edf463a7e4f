package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// served are the settings of a server in a cluster, as a line of a cell has them.
func served(line string) (*settings.Resolved, error) {
	given, err := settings.ParseLine(run.Serve, "--target kubernetes "+line)
	if err != nil {
		return nil, err
	}
	return settings.Resolve(run.Serve, settings.Sources{Line: given, Typed: settings.FromCell})
}

func TestHowCallersFromOutsideReachAServer(t *testing.T) {
	const takes = "--ingress takes a name of DNS in small letters, without http:// and a path, such as " +
		"serve.example, not "
	for line, want := range map[string]string{
		"--ingress serve.example": "", "--expose": "", "--ingress a.example --expose=false": "",
		"--ingress https://serve.example": takes + `"https://serve.example"`,
		"--ingress serve.example/a":       takes + `"serve.example/a"`,
		"--ingress *.example":             takes + `"*.example"`,
		"--ingress Serve.example":         takes + `"Serve.example"`,
		"--ingress 203.0.113.7":           takes + `"203.0.113.7"`,
		"--ingress a.example --expose": "ingress (cell) and expose (cell) exclude each other\n" +
			"Leave one of them out: an Ingress needs no load balancer of the server's own.",
	} {
		t.Run(line, func(t *testing.T) {
			got := ""
			if _, err := served(line); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Who reaches a server from outside is part of its revision; that nobody does is as if nothing was said.
func TestTheKeyHasHowAServerIsReached(t *testing.T) {
	for line, want := range map[string][]string{
		"": nil, "--expose=false": nil, "--expose": {"expose=true"}, "--ingress a.example": {"ingress=a.example"},
	} {
		t.Run("with "+line, func(t *testing.T) {
			r, err := served(line)
			if err != nil {
				t.Fatal(err)
			}
			key, err := r.Key(nil)
			if err != nil {
				t.Fatal(err)
			}
			key = slices.DeleteFunc(key, func(one string) bool {
				return !strings.HasPrefix(one, "expose=") && !strings.HasPrefix(one, "ingress=")
			})
			if !slices.Equal(key, want) {
				t.Errorf("the key has %q", key)
			}
		})
	}
}
