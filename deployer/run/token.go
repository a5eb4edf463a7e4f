package run

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/metaml/metaml/internal/usererror"
)

// tokenBytes is how much of a server's token is random.
const tokenBytes = 32

// NewToken makes the token of a server, which needs no quotes in a shell, a header or a URL.
func NewToken() string {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // it never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

// shortestToken is how short a token may be, in characters: who makes one by hand is not to make one that is guessed.
const shortestToken = 32

// ReadToken gives the token in a file: a person may have put another one there, and an editor a line end.
func ReadToken(file []byte) (string, error) {
	token := strings.TrimSpace(string(file))
	if len(token) < shortestToken {
		return "", fmt.Errorf("it has less than %d characters", shortestToken)
	}
	if i := strings.IndexFunc(strings.TrimRight(token, "="), notInToken); i >= 0 {
		return "", errors.New("it has a character that no bearer token has")
	}
	return token, nil
}

// notInToken reports whether no bearer token has a character (RFC 6750, section 2.1).
func notInToken(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("-._~+/", c):
		return false
	}
	return true
}

// TokenSum is what a server's front knows of the token: enough to recognise it, and nothing to send.
func TokenSum(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// CheckToken refuses a run that has no token because it is no server.
func (l *Listed) CheckToken() error {
	if l.Spec.Kind == Serve {
		return nil
	}
	return usererror.New(usererror.CodeToken, "run %s is no server and has no token", l.Spec.Name)
}

// NoToken says that a server has no token.
func NoToken(name string) error {
	return usererror.New(usererror.CodeToken, "server %s has no token: none of its revisions asked for one", name).
		With("Run its cell with --auth token.")
}
