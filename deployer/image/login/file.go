package login

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	helpers "github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// File has logins, or names the programs that have them.
type File struct {
	Path    string
	environ []string // in which those programs run
}

// Find gives the file that logins are read from: Docker's, unless there is only that of Podman.
func Find(variables []string) File {
	at := func(folder, file string) string { return filepath.Join(environ.Get(variables, folder), file) }
	home := environ.Get(variables, "HOME")
	docker := filepath.Join(home, ".docker", "config.json")
	if environ.Get(variables, "DOCKER_CONFIG") != "" {
		return File{at("DOCKER_CONFIG", "config.json"), variables}
	}
	podman := []string{
		environ.Get(variables, "REGISTRY_AUTH_FILE"), at("XDG_RUNTIME_DIR", "containers/auth.json"),
		at("XDG_CONFIG_HOME", "containers/auth.json"), filepath.Join(home, ".config", "containers", "auth.json"),
	}
	for _, path := range append([]string{docker}, podman...) {
		if info, err := os.Stat(path); err == nil && filepath.IsAbs(path) && info.Mode().IsRegular() {
			return File{path, variables}
		}
	}
	return File{docker, variables}
}

// key is what a registry is called in the file; that of Docker Hub is so for historical reasons.
func key(at name.Registry) string {
	if at.RegistryStr() == name.DefaultRegistry {
		return authn.DefaultAuthKey
	}
	return at.RegistryStr()
}

// Keep keeps a login in place of the one that there was, and says where.
func (f File) Keep(ctx context.Context, at name.Registry, l Login) (where string, err error) {
	c, err := f.read()
	if err != nil {
		return "", err
	}
	entry := map[string]string{}
	where = f.Path
	if helper := c.helper(key(at)); helper != "" {
		where = "docker-credential-" + helper
		err := helpers.Store(f.program(ctx, where),
			&credentials.Credentials{ServerURL: key(at), Username: l.User, Secret: l.Password})
		if err != nil {
			return "", f.cannot(err, "keep the login", where)
		}
	} else {
		entry["auth"] = base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password))
	}
	if c.auths[key(at)], err = json.Marshal(entry); err != nil {
		return "", fmt.Errorf("keep the login: %w", err)
	}
	return where, f.write(c)
}

// Remove removes the login for a registry and reports whether there was one.
func (f File) Remove(ctx context.Context, at name.Registry) (was bool, err error) {
	c, err := f.read()
	if err != nil {
		return false, err
	}
	if helper := c.helper(key(at)); helper != "" {
		program := f.program(ctx, "docker-credential-"+helper)
		if _, err := helpers.Get(program, key(at)); err == nil {
			was = true
			if err := helpers.Erase(program, key(at)); err != nil {
				return false, f.cannot(err, "remove the login", "docker-credential-"+helper)
			}
		} else if !credentials.IsErrCredentialsNotFound(err) {
			return false, f.cannot(err, "look for the login", "docker-credential-"+helper)
		}
	}
	var changed bool
	for name := range c.auths {
		if name == key(at) || hostOf(name) == at.RegistryStr() {
			delete(c.auths, name)
			changed = true
		}
	}
	if !changed {
		return was, nil
	}
	return true, f.write(c)
}

// hostOf is the host of a key, which older programs wrote as an address.
func hostOf(key string) string {
	for _, scheme := range []string{"https://", "http://"} {
		key = strings.TrimPrefix(key, scheme)
	}
	host, _, _ := strings.Cut(key, "/")
	return host
}

// content is a file of logins. What we do not know in it stays as it is.
type content struct {
	all     map[string]json.RawMessage
	auths   map[string]json.RawMessage
	store   string            // name of the helper for all registries
	helpers map[string]string // by registry
}

// helper is the name of the program that has the login of a registry, or "".
func (c *content) helper(key string) string {
	if h, is := c.helpers[key]; is {
		return h
	}
	return c.store
}

// limit bounds the file, in bytes.
const limit = 4 << 20

func (f File) read() (*content, error) {
	c := &content{all: map[string]json.RawMessage{}}
	in, err := os.Open(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, f.cannot(err, "read logins", f.Path)
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(in, limit))
		if err := errors.Join(err, in.Close()); err != nil {
			return nil, f.cannot(err, "read logins", f.Path)
		}
	}
	if len(bytes.TrimSpace(data)) > 0 {
		err = parse(data, c)
		if err != nil {
			return nil, usererror.Wrap(err, usererror.CodeFile, fmt.Sprintf("%s is not as Docker writes it: %v", f.Path,
				err), "Repair it, or move it away.")
		}
	}
	if c.auths == nil {
		c.auths = map[string]json.RawMessage{}
	}
	return c, nil
}

func parse(data []byte, c *content) error {
	if err := json.Unmarshal(data, &c.all); err != nil {
		return err
	}
	if c.all == nil { // it is null
		c.all = map[string]json.RawMessage{}
	}
	for name, to := range map[string]any{"auths": &c.auths, "credsStore": &c.store, "credHelpers": &c.helpers} {
		if part, is := c.all[name]; is {
			if err := json.Unmarshal(part, to); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// write replaces the file, or the one that it is a link to.
func (f File) write(c *content) error {
	auths, err := json.Marshal(c.auths)
	if err != nil {
		return fmt.Errorf("write logins: %w", err)
	}
	c.all["auths"] = auths
	data, err := json.MarshalIndent(c.all, "", "\t")
	if err != nil {
		return fmt.Errorf("write logins: %w", err)
	}
	path := f.Path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return f.cannot(err, "write logins", f.Path)
	}
	if err := atomicfile.Write(path, append(data, '\n'), 0o600); err != nil {
		return f.cannot(err, "write logins", f.Path)
	}
	return nil
}

func (f File) cannot(err error, do, with string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return usererror.Wrap(err, usererror.CodeUnwritable, fmt.Sprintf("cannot %s with %s: %v", do, with,
		usererror.SystemReason(err)), "The file "+f.Path+" says where logins are kept.")
}

// program starts a credential helper.
func (f File) program(ctx context.Context, named string) helpers.ProgramFunc {
	return func(args ...string) helpers.Program {
		c := exec.CommandContext(ctx, named, args...) //nolint:gosec // the user's file names it
		c.Env = f.environ
		return program{c}
	}
}

type program struct{ *exec.Cmd }

// Input gives a program what it reads.
func (p program) Input(in io.Reader) { p.Stdin = in }
