package fetch

import (
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/metaml/metaml/internal/environ"
)

// Logins are user names and passwords by host, as pip and uv find them: in the addresses of the indexes that the
// environment names, and in ~/.netrc.
type Logins map[string]*url.Userinfo

// indexes are the variables that name package indexes.
var indexes = []string{
	"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
}

// FindLogins finds them in an environment as os.Environ gives it, and in the text of a netrc file.
func FindLogins(variables []string, netrc string) Logins {
	found := Logins{}
	words := strings.Fields(netrc)
	var host, user string
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "machine":
			host, user = words[i+1], ""
		case "login":
			user = words[i+1]
		case "password":
			if host != "" {
				found[host] = url.UserPassword(user, words[i+1])
			}
		case "default":
			host = "" // what it says is of no host by name
			continue
		default:
			continue
		}
		i++
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		for _, index := range indexes {
			if name != index {
				continue
			}
			for address := range strings.FieldsSeq(value) {
				if before, after, named := strings.Cut(address, "="); named && !strings.Contains(before, ":") {
					address = after // UV_INDEX may have NAME=URL
				}
				if at, err := url.Parse(address); err == nil && at.User != nil {
					found[at.Hostname()] = at.User
				}
			}
		}
	}
	return found
}

// Netrc reads the netrc file of an environment, or nothing.
func Netrc(variables []string) string {
	file := environ.Get(variables, "NETRC")
	if home := environ.Get(variables, "HOME"); file == "" && home != "" {
		file = home + "/.netrc"
	}
	data, _ := os.ReadFile(file) // most people have none
	return string(data)
}

// to adds the login to a request. A redirect to another host does not take it along.
func (l Logins) to(r *http.Request) {
	if user := l[r.URL.Hostname()]; user != nil && r.URL.User == nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
}
