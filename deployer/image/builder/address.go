package builder

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// Address says where a BuildKit listens, and how it is known. The zero value is none.
type Address struct {
	URL string `json:"url"` // "unix:///run/buildkit/buildkitd.sock"
	// Authority, Certificate and Key are files, for tcp and docker.
	Authority   string `json:"authority,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	ServerName  string `json:"server_name,omitempty"` // that its certificate has, where it is not the address's
}

// schemes are the ways to a builder, and an example of each.
var schemes = map[string]string{
	"unix":              "unix:///run/buildkit/buildkitd.sock",
	"tcp":               "tcp://builder.example:1234",
	"docker":            "docker://",
	"docker-container":  "docker-container://buildkitd",
	"podman-container":  "podman-container://buildkitd",
	"nerdctl-container": "nerdctl-container://buildkitd",
	"kube-pod":          "kube-pod://buildkitd-0?namespace=builders",
	"ssh":               "ssh://me@builder.example",
}

// Find says which builder is meant: named is that of --builder and its like, and environ is the environment of the
// session, as os.Environ gives it, where BUILDKIT_HOST names the one that other programs take. The zero Address is
// none. An address that no builder can have is refused.
func Find(named string, variables []string) (Address, error) {
	text := cmp.Or(named, environ.Get(variables, "BUILDKIT_HOST"))
	if text == "" {
		return Address{}, nil
	}
	at, err := url.Parse(text)
	if err != nil || schemes[at.Scheme] == "" || !complete(at) {
		return Address{}, refuse(text)
	}
	address := Address{URL: text}
	switch at.Scheme {
	case "docker":
		return docker(address, at, variables)
	case "tcp":
		return secured(address, variables)
	}
	return address, nil
}

// complete reports whether an address names what its scheme needs.
func complete(at *url.URL) bool {
	switch at.Scheme {
	case "unix":
		return at.Host == "" && filepath.IsAbs(at.Path)
	case "tcp":
		return at.Port() != "" && at.Hostname() != "" && strings.Trim(at.Path, "/") == ""
	case "docker":
		return at.Host == "" && (at.Path == "" || filepath.IsAbs(at.Path))
	}
	return at.Host != ""
}

func refuse(text string) error {
	var known []string
	for _, example := range schemes {
		known = append(known, example)
	}
	slices.Sort(known)
	return usererror.New(usererror.CodeOption, "--builder %s is no address of a BuildKit", text).
		With("It is like one of %s.", strings.Join(known, ", "))
}

// secured adds the files by which client and server know each other, as buildctl has them in a folder (--tlsdir):
// BUILDKIT_TLS_DIR names it.
func secured(a Address, variables []string) (Address, error) {
	folder := environ.Get(variables, "BUILDKIT_TLS_DIR")
	a.ServerName = environ.Get(variables, "BUILDKIT_TLS_SERVER_NAME")
	if folder == "" {
		return a, nil
	}
	for _, one := range []struct {
		to    *string
		names []string
	}{
		{&a.Authority, []string{"ca.pem", "ca.crt"}},
		{&a.Certificate, []string{"cert.pem", "tls.crt"}},
		{&a.Key, []string{"key.pem", "tls.key"}},
	} {
		for _, name := range one.names {
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
				*one.to = filepath.Join(folder, name)
				break
			}
		}
		if *one.to == "" {
			return Address{}, usererror.New(usererror.CodeOption, "BUILDKIT_TLS_DIR: %s has neither %s nor %s", folder,
				one.names[0], one.names[1]).With("The folder has ca.pem, cert.pem and key.pem.")
		}
	}
	return a, nil
}

// docker completes the address of a Docker Engine as its own command finds it: DOCKER_HOST, else the usual socket.
func docker(a Address, at *url.URL, variables []string) (Address, error) {
	if at.Path != "" {
		return a, nil
	}
	host := cmp.Or(environ.Get(variables, "DOCKER_HOST"), "unix:///var/run/docker.sock")
	where, err := url.Parse(host)
	switch {
	case err == nil && where.Scheme == "unix" && where.Host == "" && filepath.IsAbs(where.Path):
		a.URL = "docker://" + where.Path
		return a, nil
	case err == nil && where.Scheme == "tcp" && where.Port() != "":
		a.URL = "docker://" + where.Host
	default:
		return Address{}, usererror.New(usererror.CodeOption,
			"--builder docker:// takes the Docker Engine of DOCKER_HOST, and %s cannot be reached", host).
			With("Name a BuildKit by another address, such as %s.", schemes["ssh"])
	}
	if environ.Get(variables, "DOCKER_TLS_VERIFY") != "" {
		folder := cmp.Or(environ.Get(variables, "DOCKER_CERT_PATH"),
			filepath.Join(environ.Get(variables, "HOME"), ".docker"))
		a.Authority, a.Certificate, a.Key = filepath.Join(folder, "ca.pem"), filepath.Join(folder, "cert.pem"),
			filepath.Join(folder, "key.pem")
	}
	return a, nil
}
