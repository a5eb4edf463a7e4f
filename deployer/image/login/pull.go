package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// Of gives the login that this machine has for the registry of a repository.
func Of(ctx context.Context, at name.Repository) (Login, error) {
	host := registry.Called(at.Registry)
	who, err := authn.Resolve(ctx, authn.DefaultKeychain, at)
	var c *authn.AuthConfig
	if err == nil {
		c, err = authn.Authorization(ctx, who)
	}
	if err != nil {
		return Login{}, usererror.Wrap(err, usererror.CodeRegistry,
			fmt.Sprintf("the login for registry %s cannot be read: %v", host, err), "Log in: metaml login "+host+".")
	}
	if c.IdentityToken != "" || c.RegistryToken != "" {
		return Login{}, usererror.New(usererror.CodeRegistry,
			"the login for registry %s is a token of its own kind, which nodes do not take", host).
			With("Log in with a user name and a password or access token: metaml login %s -u NAME.", host)
	}
	l := Login{User: c.Username, Password: c.Password}
	if l.User == "" && c.Auth != "" {
		text, _ := base64.StdEncoding.DecodeString(c.Auth) // without a user it is refused below
		l.User, l.Password, _ = strings.Cut(string(text), ":")
	}
	if l.User != "" {
		return l, nil
	}
	return Login{}, usererror.New(usererror.CodeRegistry, "this machine has no login for registry %s", host).
		With("Log in: metaml login %s.", host)
}

// DockerConfig is the content of a Secret by which nodes pull from a registry, which they may call otherwise than this
// machine: the file that Docker reads, with one login (Kubernetes, "Pull an Image from a Private Registry").
func (l Login) DockerConfig(pulled name.Registry) ([]byte, error) {
	entry := map[string]string{
		"username": l.User, "password": l.Password,
		"auth": base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password)),
	}
	return json.Marshal(map[string]any{"auths": map[string]any{key(pulled): entry}})
}

// Lasts says how long a login of a registry is good for from when it was made, as their documentation has it; 0 is for
// as long as it is not revoked.
func (l Login) Lasts(at name.Registry) time.Duration {
	host := at.RegistryStr()
	switch {
	case l.User == "AWS" && strings.Contains(host, ".dkr.ecr"):
		return 12 * time.Hour
	case l.User == "oauth2accesstoken" || l.User == "_dcgcloud_token": // of Google Cloud
		return time.Hour
	case l.User == "00000000-0000-0000-0000-000000000000" && strings.HasSuffix(host, ".azurecr.io"):
		return 3 * time.Hour
	}
	return 0
}
