package indexes

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/metaml/metaml/internal/environ"
)

// Logins are user names and passwords by host, as pip and uv find them: in the addresses of the indexes, in variables
// for those with a name, and in ~/.netrc.
type Logins map[string]*url.Userinfo

// naming are the variables that name package indexes.
var naming = []string{
	"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_INDEX_URL",
	"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS",
}

// addressed are addresses in a text, of which some have a login.
var addressed = regexp.MustCompile(`https?://[^\s,;"']+`)

// findLogins finds them in an environment, in what uv's files say, in the text of a netrc file and in other texts.
func findLogins(variables []string, uv uvFile, netrc, more string) Logins {
	found := Logins{}
	found.netrc(netrc)
	all := uv.addresses()
	for _, name := range naming {
		all = append(all, strings.FieldsFunc(environ.Get(variables, name), func(r rune) bool {
			return r == ' ' || r == ',' || r == '\n' || r == '\t'
		})...)
	}
	for _, address := range append(all, addressed.FindAllString(more, -1)...) {
		name := ""
		if before, after, named := strings.Cut(address, "="); named && !strings.Contains(before, ":") {
			name, address = before, after // NAME=URL
		}
		at, err := url.Parse(address)
		if err != nil || at.Host == "" {
			continue
		}
		if at.User != nil {
			found[at.Hostname()] = at.User
		}
		if name != "" {
			found.named(variables, name, at)
		}
	}
	return found
}

var noLetter = regexp.MustCompile(`[^A-Za-z0-9]`)

// named finds the login of an index with a name, as uv has it in variables.
func (l Logins) named(variables []string, name string, at *url.URL) {
	prefix := "UV_INDEX_" + strings.ToUpper(noLetter.ReplaceAllString(name, "_"))
	user, password := environ.Get(variables, prefix+"_USERNAME"), environ.Get(variables, prefix+"_PASSWORD")
	if user != "" || password != "" {
		l[at.Hostname()] = url.UserPassword(user, password)
	}
}

// netrc reads a netrc file.
func (l Logins) netrc(text string) {
	words := strings.Fields(text)
	var host, user string
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "machine":
			host, user = words[i+1], ""
		case "login":
			user = words[i+1]
		case "password":
			if host != "" {
				l[host] = url.UserPassword(user, words[i+1])
			}
		case "default":
			host = "" // what it says is of no host by name
			continue
		default:
			continue
		}
		i++
	}
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

// To adds the login to a request. A redirect to another host does not take it along.
func (l Logins) To(r *http.Request) {
	if user := l[r.URL.Hostname()]; user != nil && r.URL.User == nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
}
