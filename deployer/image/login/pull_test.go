package login

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metaml/metaml/internal/usererror"
)

func TestTheLoginForARegistryIsGivenAlone(t *testing.T) {
	_, docker := home(t)
	write(t, docker, `{"auths":{"registry.example":{"auth":"YW5uOnA="},"other.example":{"auth":"YTpi"},
		"token.example":{"auth":"YTpi","identitytoken":"x"}}}`)
	repository := func(text string) name.Repository {
		at, err := name.NewRepository(text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	l, err := Of(t.Context(), repository("registry.example/team/env"))
	if err != nil || l != (Login{"ann", "p"}) {
		t.Fatalf("it is %v: %v", l, err)
	}
	data, err := l.DockerConfig(repository("mirror.example/env").Registry)
	want := `{"auths":{"mirror.example":{"auth":"YW5uOnA=","password":"p","username":"ann"}}}`
	if err != nil || string(data) != want {
		t.Errorf("it is %s: %v", data, err)
	}
	for host, want := range map[string]string{
		"none.example":  "this machine has no login for registry none.example",
		"token.example": "the login for registry token.example is a token of its own kind, which nodes do not take",
	} {
		t.Run(host, func(t *testing.T) {
			_, err = Of(t.Context(), repository(host+"/env"))
			if is, ok := errors.AsType[*usererror.Error](err); !ok || is.Text != want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHowLongALoginLasts(t *testing.T) {
	for _, c := range []struct {
		host, user string
		want       time.Duration
	}{
		{"1.dkr.ecr.eu-west-1.amazonaws.com", "AWS", 12 * time.Hour},
		{"europe-docker.pkg.dev", "oauth2accesstoken", time.Hour},
		{"europe-docker.pkg.dev", "_json_key", 0},
		{"team.azurecr.io", "00000000-0000-0000-0000-000000000000", 3 * time.Hour},
		{"registry.example", "ann", 0},
	} {
		t.Run(c.host+" "+c.user, func(t *testing.T) {
			if got := (Login{User: c.user}).Lasts(at(t, c.host)); got != c.want {
				t.Errorf("it lasts %v", got)
			}
		})
	}
}
