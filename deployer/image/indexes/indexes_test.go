package indexes

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/test/noted"
)

func write(t *testing.T, text string, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoginsAreFoundWherePipAndUVHaveThem(t *testing.T) {
	home := t.TempDir()
	write(t, "machine c.example login three password pass\ndefault login no password no\n", home, ".netrc")
	write(t, "[[index]]\nname = \"team-a\"\nurl = \"https://e.example/simple\"\n[[index]]\nname = \"b\"\n"+
		"url = \"https://five:e@f.example/simple\"\n", home, ".config", "uv", "uv.toml")
	found := map[string]string{}
	for host, user := range Find([]string{
		"HOME=" + home, "PIP_INDEX_URL=https://one:secret@127.0.0.1:8080/simple", "TOKEN=t0ken",
		"UV_INDEX=https://a.example/x private=https://two:word@b.example/y",
		"UV_INDEX_TEAM_A_USERNAME=four", "UV_INDEX_TEAM_A_PASSWORD=d",
	}, "", "--extra-index-url https://six:${TOKEN}@g.example/simple\nx==1\n").Logins {
		found[host] = user.String()
	}
	want := map[string]string{
		"127.0.0.1": "one:secret", "b.example": "two:word", "c.example": "three:pass", "e.example": "four:d",
		"f.example": "five:e", "g.example": "six:t0ken",
	}
	if d := cmp.Diff(want, found); d != "" {
		t.Error(d)
	}
}

// What pip has in its files uv does as well, unless uv has something else.
func TestUVGetsWhatPipHas(t *testing.T) {
	for _, c := range []struct {
		name, pip, site, uv string
		variables           []string
		want                map[string]string
	}{
		{
			"a file of the user",
			"[global]\nindex-url = https://a.example/simple\nextra-index-url =\n    https://b.example/simple\n" +
				"    https://c.example/simple\ncert = /etc/ca.pem\n[install]\ntrusted-host: d.example\n[list]\n" +
				"cert = no\n",
			"", "", nil,
			map[string]string{
				"UV_DEFAULT_INDEX": "https://a.example/simple",
				"UV_INDEX":         "https://b.example/simple https://c.example/simple",
				"SSL_CERT_FILE":    "/etc/ca.pem", "UV_INSECURE_HOST": "d.example",
				"UV_INDEX_STRATEGY": "unsafe-first-match",
			},
		},
		{
			"the environment's before the user's", "[global]\nindex_url = https://a.example\n",
			"[global]\nindex-url = https://b.example\n", "", nil,
			map[string]string{"UV_DEFAULT_INDEX": "https://b.example"},
		},
		{
			"variables before files", "[global]\nindex-url = https://a.example\n", "", "",
			[]string{"PIP_INDEX_URL=https://b.example"},
			map[string]string{"UV_DEFAULT_INDEX": "https://b.example"},
		},
		{
			"uv's own before pip's", "[global]\nindex-url = https://a.example\n", "",
			"index-url = \"https://b.example\"\n", nil,
			map[string]string{"UV_DEFAULT_INDEX": ""},
		},
		{
			"an older variable of uv", "[global]\nindex-url = https://a.example\n", "", "",
			[]string{"UV_INDEX_URL=https://b.example"},
			map[string]string{"UV_DEFAULT_INDEX": ""},
		},
		{
			"no file", "[global]\nindex-url = https://a.example\n", "", "",
			[]string{"PIP_CONFIG_FILE=/dev/null"},
			map[string]string{"UV_DEFAULT_INDEX": ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			home, venv := t.TempDir(), t.TempDir()
			write(t, c.pip, home, ".config", "pip", "pip.conf")
			write(t, c.site, venv, "pip.conf")
			write(t, c.uv, home, ".config", "uv", "uv.toml")
			got := Find(append(c.variables, "HOME="+home), filepath.Join(venv, "bin", "python"), "")
			for name, want := range c.want {
				if is := environ.Get(got.Environ, name); is != want {
					t.Errorf("%s is %q, and not %q", name, is, want)
				}
			}
		})
	}
}

func TestTheKeyIsThatOfWhatIsFound(t *testing.T) {
	key := func(variables ...string) string { return Find(variables, "", "").Key() }
	for _, c := range []struct {
		name, one, other string
		same             bool
	}{
		{"another index", "UV_INDEX=https://a.example", "UV_INDEX=https://b.example", false},
		{"another login", "UV_INDEX=https://me:a@a.example", "UV_INDEX=https://me:b@a.example", true},
		{"pip and uv", "PIP_FIND_LINKS=https://a.example", "PIP_FIND_LINKS=https://b.example", false},
		{"another cache", "UV_CACHE_DIR=/a", "UV_CACHE_DIR=/b", true},
		{"another password", "UV_INDEX_A_PASSWORD=a", "UV_INDEX_A_PASSWORD=b", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if (key(c.one) == key(c.other)) != c.same {
				t.Errorf("they are the same: %t", !c.same)
			}
		})
	}
}

func TestANamedIndexIsAskedFirst(t *testing.T) {
	got := Add([]string{"UV_INDEX=https://b.example"}, []string{"https://a.example"})
	if is := environ.Get(got, "UV_INDEX"); is != "https://a.example https://b.example" {
		t.Errorf("it is %q", is)
	}
	if d := cmp.Diff([]string{"A=b"}, Add([]string{"A=b"}, nil)); d != "" {
		t.Error(d)
	}
}

func TestAClientReachesWhatUVReaches(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		t.TempDir(), "ca.pem")
	var through noted.List[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		through.Add(r.URL.Host)
	}))
	defer proxy.Close()
	for _, c := range []struct {
		name, variable, address string
		works                   bool
	}{
		{"a certificate authority of its own", "REQUESTS_CA_BUNDLE=" + ca, server.URL, true},
		{"none", "A=b", server.URL, false},
		{"a host that is trusted", "PIP_TRUSTED_HOST=127.0.0.1", server.URL, true},
		{"another one that is", "PIP_TRUSTED_HOST=127.0.0.2", server.URL, false},
		{"a proxy", "PIP_PROXY=" + proxy.URL, "http://index.example/simple", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := Find([]string{c.variable, "PIP_CONFIG_FILE=/dev/null"}, "", "").Client()
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.address, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err == nil {
				err = response.Body.Close()
			}
			if (err == nil) != c.works {
				t.Errorf("got %v", err)
			}
		})
	}
	if d := cmp.Diff([]string{"index.example"}, through.All()); d != "" {
		t.Error(d)
	}
	if _, err := Find([]string{"SSL_CERT_FILE=/nowhere.pem"}, "", "").Client(); err == nil ||
		!strings.Contains(err.Error(), "/nowhere.pem, the session's file of certificate authorities, cannot be read") {
		t.Errorf("got %v", err)
	}
}

func FuzzPipConf(f *testing.F) {
	f.Add("[global]\nindex-url = a\n b\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range parsePip(text) {
			if strings.ContainsAny(name, "\n=") {
				t.Errorf("%q", name)
			}
		}
	})
}
