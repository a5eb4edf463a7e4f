package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metaml/metaml/internal/usererror"
)

// Called is how people call a registry.
func Called(at name.Registry) string {
	if at.RegistryStr() == name.DefaultRegistry {
		return "docker.io"
	}
	return at.RegistryStr()
}

// Explain puts into words what a registry says, or that it says nothing. Doing is like "send the image to NAME".
func Explain(err error, doing, registry string) error {
	if err == nil {
		return nil
	}
	if is, ok := errors.AsType[*usererror.Error](err); ok {
		return is
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var text, hint string
	if answer, answered := errors.AsType[*transport.Error](err); answered {
		text, hint = refused(answer, registry)
	} else {
		text, hint = unreachable(err, registry)
	}
	return usererror.Wrap(err, usererror.CodeRegistry, "cannot "+doing+": "+text, hint)
}

// Asked is the host of whom a request of an error asked, or "".
func Asked(err error) string {
	if answer, is := errors.AsType[*transport.Error](err); is && answer.Request != nil {
		return answer.Request.URL.Host
	}
	if request, is := errors.AsType[*url.Error](err); is {
		if at, err := url.Parse(request.URL); err == nil {
			return at.Host
		}
	}
	return ""
}

const later = "Try again in a moment."

// refused says why a registry refuses, by the codes of the OCI distribution specification 1.1, "Error Codes".
func refused(answer *transport.Error, registry string) (text, hint string) {
	says, code := words(answer)
	switch {
	case code == transport.NameInvalidErrorCode:
		return fmt.Sprintf("registry %s does not allow the name: %s", registry, says),
			"Name it in lower case, with as many parts as the registry allows, such as HOST/TEAM/environments."
	case full(answer, says):
		return fmt.Sprintf("registry %s has no room left for it: %s", registry, says),
			"Delete what nobody needs there, or ask who runs it for more."
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		return fmt.Sprintf("registry %s does not know you: %s", registry, says),
			"Log in: metaml login " + registry + "."
	case http.StatusForbidden:
		return fmt.Sprintf("registry %s does not let you: %s", registry, says),
			"Log in as somebody who may, with metaml login " + registry + ", or take another repository."
	case http.StatusNotFound:
		return fmt.Sprintf("registry %s does not have it: %s", registry, says),
			"Check the name. Some registries want a repository to be made before anything is sent to it."
	case http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("registry %s, or a proxy before it, does not take as much at once: %s", registry, says),
			"Ask who runs it to allow larger requests."
	case http.StatusTooManyRequests:
		return fmt.Sprintf("registry %s is busy: %s", registry, says),
			"Try again in some minutes. Who is logged in may often ask more: metaml login " + registry + "."
	}
	if answer.StatusCode < http.StatusInternalServerError {
		return fmt.Sprintf("registry %s refuses: %d %s", registry, answer.StatusCode, says), "Check the name."
	}
	return fmt.Sprintf("registry %s has a failure of its own: %d %s", registry, answer.StatusCode, says), later
}

// most bounds what is shown of a registry's own words, in bytes.
const most = 300

// words are what a registry says in its own, and the code of it.
func words(answer *transport.Error) (says string, code transport.ErrorCode) {
	says = http.StatusText(answer.StatusCode)
	if len(answer.Errors) > 0 {
		code = answer.Errors[0].Code
		says = cmp.Or(answer.Errors[0].Message, strings.ToLower(string(code)), says)
	}
	says = strings.TrimRight(strings.Join(strings.Fields(says), " "), ".")
	if len(says) > most {
		says = strings.ToValidUTF8(says[:most], "") + "…"
	}
	return says, code
}

// full reports whether there is no room left. Harbor and GitLab answer so with 403 or 412 and a text alone.
func full(answer *transport.Error, says string) bool {
	if answer.StatusCode == http.StatusInsufficientStorage {
		return true
	}
	if answer.StatusCode < http.StatusBadRequest || answer.StatusCode == http.StatusTooManyRequests {
		return false
	}
	says = strings.ToLower(says)
	for _, sign := range []string{"quota", "no space left", "insufficient storage", "storage limit"} {
		if strings.Contains(says, sign) {
			return true
		}
	}
	return false
}

// unreachable says why a registry gave no answer.
func unreachable(err error, registry string) (text, hint string) {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		dns      *net.DNSError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("this machine does not know who signed the certificate of registry %s", registry),
			"Add that authority to the system's, or name a file with it: SSL_CERT_FILE=/PATH/ca.pem."
	case errors.As(err, &hostname):
		return fmt.Sprintf("the certificate of registry %s is that of another name: %v", registry, hostname),
			"Check its name."
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of registry %s is not valid: %v", registry, invalid),
			"Check the clock of this machine, or ask who runs the registry."
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host of the name of registry %s", registry), "Check its name and the network."
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("registry %s cannot be reached: connection refused", registry),
			"Check its name and port, and whether it is up."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return fmt.Sprintf("registry %s, or a proxy before it, closed the connection", registry), later
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("registry %s does not speak https", registry),
			"Check its port. Without encryption MetaML speaks to localhost and to private addresses alone."
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("registry %s does not answer", registry), "Check its name and the network."
	}
	reason := err
	if request, ok := errors.AsType[*url.Error](err); ok {
		reason = request.Err
	}
	return fmt.Sprintf("registry %s cannot be reached: %v", registry, reason), "Check its name and the network."
}
