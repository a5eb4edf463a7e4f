package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metaml/metaml/deployer/image/login"
	"github.com/metaml/metaml/deployer/image/registry"
)

// loginOptions are the flags of `metaml login`.
type loginOptions struct {
	user  string
	stdin bool
}

func loginCommand(a *app) *cobra.Command {
	var o loginOptions
	c := &cobra.Command{
		Use: "login REGISTRY", Short: "Log in at a registry of images, as docker login does",
		Long: "Log in at a registry of images. The login is tried, and kept where Docker keeps it: by the credential " +
			"helper that Docker's config.json names, else in that file.\nAt a terminal it asks for the password. " +
			"In a script:\n\n  printf %s \"$TOKEN\" | metaml login registry.example -u NAME --password-stdin",
		Args: oneRegistry,
		RunE: func(cmd *cobra.Command, args []string) error { return a.login(cmd.Context(), args[0], o) },
	}
	c.Flags().StringVarP(&o.user, "username", "u", "", "who logs in; asked for where it is left out")
	c.Flags().BoolVar(&o.stdin, "password-stdin", false, "read the password from standard input")
	return c
}

func logoutCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "logout REGISTRY", Short: "Remove the login for a registry of images", Args: oneRegistry,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := login.Parse(args[0])
			if err != nil {
				return err
			}
			file := login.Find(a.environ)
			was, err := file.Remove(cmd.Context(), at)
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintf(a.err, "there was no login for %s in %s\n", registry.Called(at), file.Path)
				return nil
			}
			fmt.Fprintf(a.err, "logged out of %s\n", registry.Called(at))
			return nil
		},
	}
}

func oneRegistry(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usage("metaml %s takes the name of one registry", cmd.Name()).
		With("Type metaml %s registry.example, or docker.io for Docker Hub.", cmd.Name())
}

func (a *app) login(ctx context.Context, host string, o loginOptions) error {
	at, err := login.Parse(host)
	if err != nil {
		return err
	}
	l := login.Login{User: o.user}
	if o.stdin {
		l.Password, err = a.password(ctx)
	} else {
		l, err = a.askLogin(ctx, registry.Called(at), o.user)
	}
	if err != nil {
		return err
	}
	if l.User == "" || strings.Contains(l.User, ":") {
		return usage("%q is not the name of a user", l.User).With("Name who logs in with -u NAME.")
	}
	if l.Password == "" {
		return usage("the password of %s is empty", l.User).With("Many registries want an access token in its place.")
	}
	if err := login.Try(ctx, at, l); err != nil {
		return err
	}
	where, err := login.Find(a.environ).Keep(ctx, at, l)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "logged in at %s as %s; %s has the login\n", registry.Called(at), l.User, where)
	return nil
}

// maxPassword bounds a password that is read, in bytes: tokens of clouds have a few thousand.
const maxPassword = 64 << 10

// password reads a password from standard input.
func (a *app) password(ctx context.Context) (string, error) {
	return inTime(ctx, func() (string, error) {
		data, err := io.ReadAll(io.LimitReader(a.in, maxPassword+1))
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if len(data) > maxPassword {
			return "", usage("the password has more than %d KiB", maxPassword>>10)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	})
}

// askLogin asks at the terminal for what is missing of a login.
func (a *app) askLogin(ctx context.Context, host, user string) (login.Login, error) {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return login.Login{}, usage("metaml login asks for a password, and nobody is at a terminal").With(
			"In a script: printf %%s \"$TOKEN\" | metaml login %s -u NAME --password-stdin.", host)
	}
	if user == "" {
		fmt.Fprintf(a.err, "User name at %s: ", host)
		line, err := inTime(ctx, func() (string, error) { return bufio.NewReader(in).ReadString('\n') })
		if err != nil && !errors.Is(err, io.EOF) {
			return login.Login{}, err
		}
		user = strings.TrimSpace(line)
	}
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return login.Login{}, fmt.Errorf("ask for the password: %w", err)
	}
	// Whoever interrupts gets the terminal back as it was, with what is typed shown.
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	fmt.Fprintf(a.err, "Password or token of %s at %s, which is not shown: ", user, host)
	password, err := inTime(ctx, func() (string, error) {
		typed, err := term.ReadPassword(int(in.Fd()))
		return string(typed), err
	})
	fmt.Fprintln(a.err)
	if err != nil && !errors.Is(err, io.EOF) {
		return login.Login{}, err
	}
	return login.Login{User: user, Password: password}, nil
}

// inTime reads from a person until the context ends. What reads ends with its line, or with the process.
func inTime(ctx context.Context, read func() (string, error)) (string, error) {
	type said struct {
		text string
		err  error
	}
	done := make(chan said, 1)
	go func() {
		text, err := read()
		done <- said{text, err}
	}()
	select {
	case s := <-done:
		return s.text, s.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
