package indexes

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// Client gives a client that reaches the indexes as uv does: through the session's proxies, trusting its certificate
// authorities beside those of the system.
func (i *Indexes) Client() (*http.Client, error) {
	roots, err := i.roots()
	if err != nil {
		return nil, err
	}
	trusting := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if file := environ.Get(i.Environ, "SSL_CLIENT_CERT"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			return nil, unreadable(file, "client certificate for package indexes", err)
		}
		trusting.Certificates = []tls.Certificate{pair}
	}
	proxy := (&httpproxy.Config{
		HTTPProxy:  i.either("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
		HTTPSProxy: i.either("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
		NoProxy:    i.either("NO_PROXY", "no_proxy"),
	}).ProxyFunc()
	transport := func(config *tls.Config) *http.Transport {
		return &http.Transport{
			Proxy:           func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8,
		}
	}
	unchecked := trusting.Clone()
	unchecked.InsecureSkipVerify = true // only for hosts that the session trusts so; files are checked by their digest
	return &http.Client{Transport: &byHost{
		checked: transport(trusting), unchecked: transport(unchecked),
		trusted: strings.FieldsFunc(environ.Get(i.Environ, "UV_INSECURE_HOST"), func(r rune) bool {
			return r == ' ' || r == ','
		}),
	}}, nil
}

func (i *Indexes) either(names ...string) string {
	for _, name := range names {
		if is := environ.Get(i.Environ, name); is != "" {
			return is
		}
	}
	return ""
}

// roots are the certificate authorities of the system and of the session.
func (i *Indexes) roots() (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	var files []string
	if file := environ.Get(i.Environ, "SSL_CERT_FILE"); file != "" {
		files = append(files, file)
	}
	for _, folder := range filepath.SplitList(environ.Get(i.Environ, "SSL_CERT_DIR")) {
		inside, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			return nil, unreadable(folder, "folder of certificate authorities", err)
		}
		files = append(files, inside...)
	}
	for n, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && n == 0 && file == environ.Get(i.Environ, "SSL_CERT_FILE") {
			return nil, unreadable(file, "file of certificate authorities", err)
		}
		roots.AppendCertsFromPEM(text)
	}
	return roots, nil
}

func unreadable(file, what string, err error) error {
	return usererror.Wrap(err, usererror.CodeIndex,
		fmt.Sprintf("%s, the session's %s, cannot be read: %v", file, what, usererror.SystemReason(err)),
		"Check the variables and the pip.conf that name it.")
}

// byHost asks hosts whose certificates are not checked by another transport.
type byHost struct {
	checked, unchecked *http.Transport
	trusted            []string // HOST or HOST:PORT
}

// RoundTrip implements [http.RoundTripper].
func (b *byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(b.trusted, r.URL.Hostname()) || slices.Contains(b.trusted, r.URL.Host) {
		return b.unchecked.RoundTrip(r)
	}
	return b.checked.RoundTrip(r)
}

// CloseIdleConnections implements what [http.Client.CloseIdleConnections] asks for.
func (b *byHost) CloseIdleConnections() {
	b.checked.CloseIdleConnections()
	b.unchecked.CloseIdleConnections()
}
