package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metaml/metaml/internal/usererror"
)

// What registries answer, and what is said of it. Their words are those of the programs named.
func TestWhatARegistryAnswersIsSaid(t *testing.T) {
	for _, c := range []struct {
		called     string
		status     int
		code, says string
		want       string
	}{
		{"no login", 401, "UNAUTHORIZED", "authentication required", "does not know you: authentication required"},
		{"no right", 403, "DENIED", "access is denied", "does not let you: access is denied"},
		{"no repository, ECR", 404, "NAME_UNKNOWN", "it does not exist", "does not have it: it does not exist"},
		{"no name", 400, "NAME_INVALID", "invalid repository name", "does not allow the name: invalid repository name"},
		{
			"quota, Harbor", 412, "PRECONDITION", "will exceed the configured upper limit of storage quota",
			"has no room left for it: will exceed",
		},
		{"disk full", 507, "", "", "has no room left for it: Insufficient Storage"},
		{"a proxy's limit, nginx", 413, "", "", "does not take as much at once: Request Entity Too Large"},
		{"too often, Docker Hub", 429, "TOOMANYREQUESTS", "Your rate limit.", "is busy: Your rate limit"},
		{"broken", 500, "UNKNOWN", "unknown error", "has a failure of its own: 500 unknown error"},
		{"a gateway", 502, "", "", "has a failure of its own: 502 Bad Gateway"},
		{"read only", 405, "UNSUPPORTED", "", "refuses: 405 unsupported"},
	} {
		t.Run(c.called, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v2/" {
					w.WriteHeader(c.status)
					if c.code != "" {
						_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, c.code, c.says)
					}
				}
			}))
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			at, err := name.ParseReference(host + "/team/env:1")
			if err != nil {
				t.Fatal(err)
			}
			_, err = remote.Get(at, remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
			says(t, Explain(err, "send it to NAME", host), "cannot send it to NAME: registry "+host, c.want)
		})
	}
}

func TestWhyARegistryGivesNoAnswerIsSaid(t *testing.T) {
	for want, err := range map[string]error{
		"this machine does not know who signed the certificate of registry R": x509.UnknownAuthorityError{},
		"the certificate of registry R is that of another name": x509.HostnameError{
			Certificate: &x509.Certificate{}, Host: "R",
		},
		"the certificate of registry R is not valid": x509.CertificateInvalidError{Reason: x509.Expired},
		"registry R does not speak https":            tls.RecordHeaderError{Msg: "first record does not look like TLS"},
		"there is no host of the name of registry R": &net.DNSError{IsNotFound: true},
		"registry R cannot be reached: connection refused": &net.OpError{
			Op: "dial", Err: syscall.ECONNREFUSED,
		},
		"registry R, or a proxy before it, closed the connection": io.ErrUnexpectedEOF,
		"registry R does not answer":                              context.DeadlineExceeded,
		"registry R cannot be reached: dial: no route":            errors.New("no route"),
	} {
		t.Run(want, func(t *testing.T) {
			err := &url.Error{Op: "Get", URL: "https://R/v2/?token=secret", Err: fmt.Errorf("dial: %w", err)}
			says(t, Explain(err, "log in", "R"), "cannot log in: "+want)
		})
	}
	if err := Explain(fmt.Errorf("send: %w", context.Canceled), "log in", "R"); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt is %v", err)
	}
}

func says(t *testing.T, err error, wants ...string) {
	t.Helper()
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok || is.Code != usererror.CodeRegistry || is.Hint == "" || strings.Contains(is.Text, "secret") {
		t.Fatalf("got %v", err)
	}
	for _, want := range wants {
		if !strings.Contains(is.Text, want) {
			t.Errorf("%q does not have %q", is.Text, want)
		}
	}
}
