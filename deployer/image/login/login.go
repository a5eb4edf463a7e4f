// Package login keeps logins of registries in the file that Docker reads, so that people need no Docker for it, and all
// programs that read that file know them. The format is that of `docker login`: a credential helper has the login where
// one is configured, else the file itself.
//
// [Try] asks a registry whether a login is right, and [Find] gives the file. It may import deployer/image/registry.
package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// Login is what a registry knows somebody by.
type Login struct{ User, Password string }

// Parse reads the name of a registry as people type it.
func Parse(text string) (name.Registry, error) {
	host := text
	for _, scheme := range []string{"https://", "http://"} {
		host = strings.TrimPrefix(host, scheme)
	}
	host, below, _ := strings.Cut(host, "/")
	if host == "" || below != "" {
		refused := usererror.New(usererror.CodeOption, "%q is not the name of a registry", text)
		if host == "" {
			return name.Registry{}, refused.With("It is a host, with its port if it has one: registry.example:5000.")
		}
		return name.Registry{}, refused.With("Log in at the host, for all that is below it: metaml login %s.", host)
	}
	at, err := name.NewRegistry(host)
	if err != nil {
		return at, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("%q is not the name of a registry", text),
			"It is a host, with its port if it has one: registry.example:5000.")
	}
	return at, nil
}

// Try asks a registry whether it knows a login.
func Try(ctx context.Context, at name.Registry, l Login) error {
	who := authn.FromConfig(authn.AuthConfig{Username: l.User, Password: l.Password})
	way, err := transport.NewWithContext(ctx, at, who, transport.NewUserAgent(remote.DefaultTransport, "metaml"), nil)
	if err == nil {
		err = ask(ctx, at, way)
	}
	if err == nil {
		return nil
	}
	host := registry.Called(at)
	if answer, is := errors.AsType[*transport.Error](err); is &&
		(answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		return usererror.Wrap(err, usererror.CodeRegistry,
			fmt.Sprintf("registry %s does not take the password of %s", host, l.User),
			"Many registries want an access token in its place: make one where you manage your account there.")
	}
	return registry.Explain(err, "log in", host)
}

func ask(ctx context.Context, at name.Registry, way http.RoundTripper) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Scheme()+"://"+at.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: way}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	return transport.CheckError(answer, http.StatusOK)
}
