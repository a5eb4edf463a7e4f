package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/atomicfile"
)

// TokenFile has the token that a server asks callers for. It is the server's, not a revision's.
func (r Run) TokenFile() string { return r.join("token") }

// ReadToken reads the server's token. The error is fs.ErrNotExist when there is none.
func (r Run) ReadToken() (string, error) {
	data, err := os.ReadFile(r.TokenFile())
	if err != nil {
		return "", fmt.Errorf("read the server's token: %w", err)
	}
	token, err := run.ReadToken(data)
	if err != nil {
		return "", fmt.Errorf("read the server's token in %q: %w", r.TokenFile(), err)
	}
	return token, nil
}

// MakeToken makes the server's token, if there is none. made: it was, and nobody has seen it yet. Two may not make it
// at the same time.
func (r Run) MakeToken() (token string, made bool, err error) {
	if token, err = r.ReadToken(); !errors.Is(err, fs.ErrNotExist) {
		return token, false, err
	}
	token = run.NewToken()
	if err := r.WriteToken(token); err != nil {
		return "", false, err
	}
	return token, true, nil
}

// WriteToken keeps the server's token, for its user alone.
func (r Run) WriteToken(token string) error {
	if err := atomicfile.Write(r.TokenFile(), []byte(token), 0o600); err != nil {
		return fmt.Errorf("keep the server's token: %w", err)
	}
	return nil
}
