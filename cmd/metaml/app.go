package main

import (
	"fmt"
	"io"
	"os"

	"github.com/metaml/metaml/cmd/internal/beside"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/environ"
)

// app is what the verbs share: streams and the lazily opened target. What is written to out and err is for people and
// goes through [view.Visible]; [view.Raw] is for what is ours to the last byte, or is read by a program.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	cwd      string
	targets  map[string]newTarget // for tests: what stands in for the targets of these names
}

// newTarget opens a target, given the path of metaml-agent.
type newTarget func(agent string) (deployer.Target, error)

func newApp() *app {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "/"
	}
	return &app{
		in: os.Stdin, out: view.Stream{To: os.Stdout}, err: view.Stream{To: os.Stderr}, environ: os.Environ(), cwd: cwd,
	}
}

// client opens the runs of this user.
func (a *app) client() (*deployer.Client, error) {
	agent, err := beside.Find("metaml-agent")
	if err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	client, err := deployer.Open(agent, binary, "follow")
	if err != nil {
		return nil, err
	}
	for name, open := range a.targets {
		target, err := open(agent)
		if err != nil {
			return nil, err
		}
		client.Use(name, target)
	}
	return client, nil
}

// getenv looks a variable up in the app's environment.
func (a *app) getenv(name string) string {
	return environ.Get(a.environ, name)
}
