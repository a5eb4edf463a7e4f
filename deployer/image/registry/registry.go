// Package registry speaks with registries of images (OCI distribution specification 1.1): it logs in with what Docker's
// file has, asks again what fails in passing, and says in words what registries refuse.
//
// [Client] is the door; what is done at a registry is go-containerregistry's. It may import none of the product but its
// leaves.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metaml/metaml/internal/atomicfile"
)

// Client is this process's way to all registries: connections and logins are made once. Its zero value works.
type Client struct {
	// Folder is where it is remembered how registries want to be asked, which else is the first question to each.
	// No login is in it.
	Folder string
	// Waits are between the tries of what fails in passing; nil is the usual. A registry may ask for longer ones.
	Waits []time.Duration

	mu         sync.Mutex
	ways       map[string]*way
	challenges map[string]*transport.Challenge // by registry: how each wants to be asked
}

// usual are the waits of a push or a pull: 4 tries in 10 s.
var usual = []time.Duration{500 * time.Millisecond, 2 * time.Second, 7 * time.Second}

// longest is how long a registry may ask us to wait, at most. Who must wait for longer is better off with a sentence.
const longest = time.Minute

// way is how a repository is asked: with a login, by https or not.
type way struct {
	transport http.RoundTripper
	known     bool         // how the registry wants to be asked was remembered, and may have changed
	after     atomic.Int64 // when the registry wants to be asked again, in ns since 1970
}

// Do does something at a repository: task does it with the options that it gets, and may be called several times.
// Rights are what task needs, as go-containerregistry names them: [transport.PullScope], [transport.PushScope]; also
// are other repositories of the same registry that it reads.
func (c *Client) Do(
	ctx context.Context, at name.Repository, rights string, also []name.Repository, task func(...remote.Option) error,
) error {
	waits := c.Waits
	if waits == nil {
		waits = usual
	}
	renewed := false
	for try := 0; ; try++ {
		w, used, err := c.way(ctx, at, rights, also)
		if err == nil {
			// One try: what is repeated is repeated here, where an interrupt ends the wait.
			err = task(remote.WithContext(ctx), remote.WithTransport(w.transport),
				remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !renewed && (used || w.known) && outdated(err):
			c.forget(at)
			renewed = true
			try--
			continue
		case try == len(waits) || !passing(err):
			return err
		}
		pause := max(waits[try], time.Until(time.Unix(0, w.after.Load())))
		if pause > longest {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// outdated reports whether an error may come of what we knew about a registry, or of a login that has ended.
func outdated(err error) bool {
	if answer, is := errors.AsType[*transport.Error](err); is {
		return answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusBadRequest
	}
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// passing reports whether an error may be gone in a moment.
func passing(err error) bool {
	if answer, is := errors.AsType[*transport.Error](err); is {
		switch answer.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return answer.Temporary()
	}
	if network, is := errors.AsType[net.Error](err); is && network.Timeout() {
		return true
	}
	return slices.ContainsFunc([]error{
		io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed,
	}, func(is error) bool { return errors.Is(err, is) })
}

// way gives how a repository is asked, and whether it was before.
func (c *Client) way(
	ctx context.Context, at name.Repository, rights string, also []name.Repository,
) (w *way, used bool, err error) {
	scopes := []string{at.Scope(rights)} // the one that matters first: some registries read no other
	for _, other := range also {
		if scope := other.Scope(transport.PullScope); other.Registry == at.Registry && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	key := at.RegistryStr() + " " + strings.Join(scopes, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.ways[key]; w != nil {
		return w, true, nil
	}
	w = &way{}
	inner := transport.NewUserAgent(&listener{w}, "metaml")
	challenge, err := c.recall(at.Registry)
	w.known = err == nil
	if err != nil {
		if challenge, err = transport.Ping(ctx, at.Registry, inner); err != nil {
			return w, false, err
		}
		c.remember(at.Registry, challenge)
	}
	who, err := authn.Resolve(ctx, authn.DefaultKeychain, at)
	if err != nil {
		return w, false, err
	}
	config, err := authn.Authorization(ctx, who)
	if err != nil {
		return w, false, err
	}
	token := &transport.Token{Token: config.RegistryToken}
	inner = &scheme{inner, at.RegistryStr(), challenge.Insecure}
	if token.Token == "" && strings.EqualFold(challenge.Scheme, "bearer") {
		if token, err = transport.Exchange(ctx, at.Registry, who, inner, scopes, challenge); err != nil {
			return w, false, err
		}
		if token.AccessToken != "" {
			token.Token = token.AccessToken
		}
	}
	if w.transport, err = transport.FromToken(at.Registry, who, inner, challenge, token); err != nil {
		return w, false, err
	}
	if c.ways == nil {
		c.ways = map[string]*way{}
	}
	c.ways[key] = w
	return w, false, nil
}

// forget forgets what is known of a registry.
func (c *Client) forget(at name.Repository) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.ways {
		if strings.HasPrefix(key, at.RegistryStr()+" ") {
			delete(c.ways, key)
		}
	}
	delete(c.challenges, at.RegistryStr())
	if c.Folder != "" {
		_ = os.Remove(c.memory(at.Registry)) // else it is written anew
	}
}

func (c *Client) memory(at name.Registry) string {
	sum := sha256.Sum256([]byte(at.RegistryStr()))
	return filepath.Join(c.Folder, hex.EncodeToString(sum[:8])+".json")
}

// recall gives what a registry answered when it was first asked.
func (c *Client) recall(at name.Registry) (*transport.Challenge, error) {
	if known := c.challenges[at.RegistryStr()]; known != nil {
		return known, nil
	}
	if c.Folder == "" {
		return nil, os.ErrNotExist
	}
	data, err := os.ReadFile(c.memory(at))
	if err != nil {
		return nil, err
	}
	challenge := &transport.Challenge{}
	return challenge, json.Unmarshal(data, challenge)
}

// remember keeps it. Where that fails it is asked for again.
func (c *Client) remember(at name.Registry, challenge *transport.Challenge) {
	if c.challenges == nil {
		c.challenges = map[string]*transport.Challenge{}
	}
	c.challenges[at.RegistryStr()] = challenge
	if c.Folder == "" {
		return
	}
	data, err := json.Marshal(challenge)
	if err == nil && os.MkdirAll(c.Folder, 0o700) == nil {
		_ = atomicfile.Write(c.memory(at), data, 0o600)
	}
}

// listener hears when a registry wants to be asked again (RFC 9110, section 10.2.3).
type listener struct{ way *way }

// RoundTrip implements [http.RoundTripper].
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := remote.DefaultTransport.RoundTrip(r)
	if err == nil && answer.StatusCode >= http.StatusTooManyRequests {
		text := answer.Header.Get("Retry-After")
		if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
			l.way.after.Store(time.Now().Add(time.Duration(seconds) * time.Second).UnixNano())
		} else if at, err := http.ParseTime(text); err == nil {
			l.way.after.Store(at.UnixNano())
		}
	}
	return answer, err
}

// scheme asks a registry by the scheme that it speaks, whatever its name makes one think.
type scheme struct {
	below    http.RoundTripper
	host     string
	insecure bool
}

// RoundTrip implements [http.RoundTripper].
func (s *scheme) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != s.host {
		return s.below.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme = "https"
	if s.insecure {
		r.URL.Scheme = "http"
	}
	return s.below.RoundTrip(r)
}
