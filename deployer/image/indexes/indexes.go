// Package indexes finds out which package indexes the pip and uv of a session ask, and how they are reached: their
// addresses, logins, certificates and proxies, from variables, pip.conf, uv.toml and netrc. Nothing of a login is in
// what it gives to be shown or kept.
//
// Read [Find] first. The package may import internal/environ.
package indexes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/environ"
)

// Indexes are those of a session.
type Indexes struct {
	Environ []string // of uv: the session's, with what pip has in its own files and variables
	Logins  Logins
}

// Add gives an environment in which indexes are asked before all others.
func Add(variables, addresses []string) []string {
	if len(addresses) == 0 {
		return variables
	}
	all := strings.Join(addresses, " ")
	if before := environ.Get(variables, "UV_INDEX"); before != "" {
		all += " " + before
	}
	variables = append(slices.Clone(variables), "UV_INDEX="+all)
	return secondChoice(variables)
}

// secondChoice has versions found in any of several indexes, as pip does it, unless somebody wants it otherwise: uv
// asks only the first one that has a package of the name, and an index of builds has a few others beside them.
func secondChoice(variables []string) []string {
	if environ.Get(variables, "UV_INDEX_STRATEGY") != "" {
		return variables
	}
	return append(variables, "UV_INDEX_STRATEGY=unsafe-first-match")
}

// same are variables of pip, each with that of uv which says the same. Of several the first one that there is counts.
var same = [][2]string{
	{"PIP_INDEX_URL", "UV_DEFAULT_INDEX"},
	{"PIP_EXTRA_INDEX_URL", "UV_INDEX"},
	{"PIP_FIND_LINKS", "UV_FIND_LINKS"},
	{"PIP_NO_INDEX", "UV_NO_INDEX"},
	{"PIP_TRUSTED_HOST", "UV_INSECURE_HOST"},
	{"PIP_CERT", "SSL_CERT_FILE"},
	{"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"},
	{"CURL_CA_BUNDLE", "SSL_CERT_FILE"},
	{"PIP_CLIENT_CERT", "SSL_CLIENT_CERT"},
	{"PIP_PROXY", "HTTPS_PROXY"},
	{"PIP_PROXY", "HTTP_PROXY"},
}

// older are variables of uv itself that say the same as the newer ones.
var older = map[string]string{"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}

// Find finds them for the environment of a session and its interpreter. Requirements is a text that may name more of
// them, as a requirements.txt does.
func Find(variables []string, python, requirements string) *Indexes {
	uv := uvFiles(variables)
	env := slices.Clone(variables)
	written := pipFiles(variables, python) // PIP_… by name, as variables would say it
	for _, pair := range same {
		if environ.Get(env, pair[1]) != "" || environ.Get(env, older[pair[1]]) != "" {
			continue
		}
		is := environ.Get(env, pair[0])
		if is == "" && !uv.says(pair[1]) { // what uv has in a file goes before what pip has in one
			is = written[pair[0]]
		}
		if is = strings.Join(strings.Fields(is), " "); is == "" {
			continue
		}
		if pair[1] == "UV_FIND_LINKS" { // which are parted by commas
			is = strings.ReplaceAll(is, " ", ",")
		}
		env = append(env, pair[1]+"="+is)
		if pair[1] == "UV_INDEX" {
			env = secondChoice(env)
		}
	}
	return &Indexes{Environ: env, Logins: findLogins(env, uv, Netrc(variables), expand(requirements, variables))}
}

var reference = regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`)

// expand puts variables into a text, as pip does it in a requirements.txt.
func expand(text string, variables []string) string {
	return reference.ReplaceAllStringFunc(text, func(name string) string {
		if value := environ.Get(variables, strings.Trim(name, "${}")); value != "" {
			return value
		}
		return name
	})
}

// private are variables that do not decide what is found: where something is kept, and who asks.
var private = regexp.MustCompile(`^UV_CACHE_DIR$|^PIP_CACHE_DIR$|_(USERNAME|PASSWORD)$|^(UV|PIP)_[A-Z_]*CERT[A-Z_]*$|` +
	`^UV_(NO_PROGRESS|HTTP_TIMEOUT|HTTP_RETRIES|CONCURRENT_[A-Z]*|PYTHON[A-Z_]*|TOOL[A-Z_]*|LINK_MODE)$|` +
	`^PIP_(DISABLE_PIP_VERSION_CHECK|NO_INPUT|PROGRESS_BAR|TIMEOUT|RETRIES)$`)

// Key is the digest of what decides which files are found. Logins are not in it: they change every hour on some
// indexes, and a key is shown.
func (i *Indexes) Key() string {
	lines := map[string]string{}
	for _, v := range i.Environ {
		name, value, _ := strings.Cut(v, "=")
		if (strings.HasPrefix(name, "UV_") || strings.HasPrefix(name, "PIP_")) && !private.MatchString(name) {
			lines[name] = WithoutLogins(value)
		}
	}
	var all []string
	for name, value := range lines {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return hex.EncodeToString(sum[:])
}

var login = regexp.MustCompile(`://[^/\s]*@`)

// WithoutLogins takes names and passwords out of the addresses in a text.
func WithoutLogins(text string) string { return login.ReplaceAllString(text, "://") }

// pipFiles gives what pip's configuration files say, by the names of its variables. Later files go before earlier ones
// (https://pip.pypa.io/en/stable/topics/configuration).
func pipFiles(variables []string, python string) map[string]string {
	home, own := environ.Get(variables, "HOME"), environ.Get(variables, "PIP_CONFIG_FILE")
	if own == os.DevNull {
		return nil
	}
	files := []string{"/etc/pip.conf", "/Library/Application Support/pip/pip.conf"}
	if home != "" {
		config := environ.Get(variables, "XDG_CONFIG_HOME")
		if config == "" {
			config = filepath.Join(home, ".config")
		}
		files = append(files, filepath.Join(home, ".pip", "pip.conf"), filepath.Join(config, "pip", "pip.conf"),
			filepath.Join(home, "Library", "Application Support", "pip", "pip.conf"))
	}
	if filepath.IsAbs(python) {
		files = append(files, filepath.Join(filepath.Dir(filepath.Dir(python)), "pip.conf"))
	}
	said := map[string]string{}
	for _, file := range append(files, own) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // most people have none
		}
		for name, value := range parsePip(string(text)) {
			said["PIP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
		}
	}
	return said
}

// parsePip reads a file of pip: lines NAME = VALUE in sections, which go on in lines that begin with a blank. What is
// said for installing goes before what is said for all.
func parsePip(text string) map[string]string {
	sections := map[string]map[string]string{"global": {}, "install": {}}
	section, name := "", ""
	for line := range strings.Lines(text) {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || word[0] == '#' || word[0] == ';':
		case (line[0] == ' ' || line[0] == '\t') && name != "":
			sections[section][name] += " " + word
		case word[0] == '[':
			section, name = strings.Trim(word, "[]"), ""
		default:
			key, value, is := cutAny(word)
			if name = ""; is && sections[section] != nil {
				name = strings.ReplaceAll(strings.TrimSpace(strings.ToLower(key)), "_", "-")
				sections[section][name] = strings.TrimSpace(value)
			}
		}
	}
	maps.Copy(sections["global"], sections["install"])
	return sections["global"]
}

// cutAny cuts a line at the first = or :.
func cutAny(line string) (before, after string, found bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}

// uvFile is what a uv.toml says of indexes (https://docs.astral.sh/uv/reference/settings).
type uvFile struct {
	Index []struct {
		Name, URL string
		Default   bool
	}
	IndexURL  string   `toml:"index-url"`
	Extra     []string `toml:"extra-index-url"`
	FindLinks []string `toml:"find-links"`
	NoIndex   bool     `toml:"no-index"`
}

// uvFiles reads the files of uv that count in any folder.
func uvFiles(variables []string) (all uvFile) {
	if environ.Get(variables, "UV_NO_CONFIG") != "" {
		return all
	}
	var files []string
	if own := environ.Get(variables, "UV_CONFIG_FILE"); own != "" {
		files = []string{own}
	} else {
		config := environ.Get(variables, "XDG_CONFIG_HOME")
		if home := environ.Get(variables, "HOME"); config == "" && home != "" {
			config = filepath.Join(home, ".config")
		}
		files = []string{filepath.Join(config, "uv", "uv.toml"), "/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml"}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		var one uvFile
		if err != nil || toml.Unmarshal(text, &one) != nil {
			continue // there is none, or uv says what is wrong with it
		}
		all.Index = append(all.Index, one.Index...)
		all.Extra = append(all.Extra, one.Extra...)
		all.FindLinks = append(all.FindLinks, one.FindLinks...)
		all.NoIndex = all.NoIndex || one.NoIndex
		if all.IndexURL == "" {
			all.IndexURL = one.IndexURL
		}
	}
	return all
}

// says reports whether uv's files say what a variable of uv would.
func (f *uvFile) says(variable string) bool {
	switch variable {
	case "UV_DEFAULT_INDEX", "UV_INDEX":
		return f.IndexURL != "" || len(f.Index) > 0 || len(f.Extra) > 0
	case "UV_FIND_LINKS":
		return len(f.FindLinks) > 0
	case "UV_NO_INDEX":
		return f.NoIndex
	}
	return false
}

// addresses are those that uv's files name, with the names that they have there.
func (f *uvFile) addresses() (all []string) {
	for _, i := range f.Index {
		all = append(all, fmt.Sprintf("%s=%s", i.Name, i.URL))
	}
	return append(append(all, f.IndexURL), f.Extra...)
}
