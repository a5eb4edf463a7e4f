package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metaml/metaml/internal/usererror"
)

// Explain puts into words what a registry says, or that it says nothing. Doing is like "send the image to NAME".
func Explain(err error, doing, registry string) error {
	if is, ok := errors.AsType[*usererror.Error](err); ok {
		return is
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	wrap := func(hint, format string, args ...any) error {
		return usererror.Wrap(
			err,
			usererror.CodeRegistry,
			fmt.Sprintf("cannot %s: ", doing)+fmt.Sprintf(format, args...),
			hint,
		)
	}
	answer, answered := errors.AsType[*transport.Error](err)
	if !answered {
		reason := err
		if request, ok := errors.AsType[*url.Error](err); ok {
			reason = request.Err
		}
		return wrap("Check its name and the network.", "registry %s cannot be reached: %v", registry, reason)
	}
	var says string
	if len(answer.Errors) > 0 {
		says = strings.ToLower(string(answer.Errors[0].Code))
		if text := answer.Errors[0].Message; text != "" {
			says = text
		}
	} else {
		says = http.StatusText(answer.StatusCode)
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		return wrap("Log in: docker login "+registry+".", "registry %s does not know you: %s", registry, says)
	case http.StatusForbidden:
		return wrap("Log in as somebody who may, with docker login "+registry+", or take another repository.",
			"registry %s does not let you: %s", registry, says)
	case http.StatusNotFound:
		return wrap("Check the name.", "registry %s does not have it: %s", registry, says)
	case http.StatusTooManyRequests:
		return wrap("Try again in a moment.", "registry %s is busy: %s", registry, says)
	}
	return wrap(
		"Try again in a moment.",
		"registry %s has a failure of its own: %d %s",
		registry,
		answer.StatusCode,
		says,
	)
}
