//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/cluster/internal/node"
	"github.com/metaml/metaml/test/cluster/internal/parts"
	"github.com/metaml/metaml/test/cluster/internal/sandbox"
)

//go:embed packages.txt
var packageList string

const usage = `usage: cluster missing | build | run [--simulate N] COMMAND…
inside: cluster kill SERVER | start SERVER | restart SERVER | kill-pod UID`

func main() {
	if code, done := sandbox.Stage(node.Inside); done {
		os.Exit(code)
	}
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(max(1, code))
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New(usage)
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "missing":
		for _, name := range parts.Missing(parts.Packages(packageList)) {
			fmt.Println(name)
		}
		return 0, nil
	case "build":
		_, err := build(ctx, os.Stderr)
		if errors.Is(err, parts.ErrUnusable) {
			return 3, fmt.Errorf("tests in a cluster not run: %w", err)
		}
		return 0, err
	case "run":
		flags := flag.NewFlagSet("run", flag.ContinueOnError)
		simulated := flags.Int("simulate", 0, "number of nodes that KWOK plays")
		if err := flags.Parse(args); err != nil {
			return 2, errors.New(usage)
		}
		if flags.NArg() == 0 {
			return 2, errors.New("run needs a command\n" + usage)
		}
		return runInside(ctx, *simulated, flags.Args())
	}
	return 0, act(ctx, verb, args)
}

// act does what is possible inside a cluster.
func act(ctx context.Context, verb string, args []string) error {
	acts := map[string]func(inside.Cluster, string) error{
		"kill":     func(c inside.Cluster, name string) error { return c.Kill(ctx, name) },
		"start":    func(c inside.Cluster, name string) error { return c.Start(ctx, name) },
		"restart":  func(c inside.Cluster, name string) error { return c.Restart(ctx, name) },
		"kill-pod": func(_ inside.Cluster, uid string) error { _, err := inside.KillPod(uid); return err },
	}
	do, known := acts[verb]
	if !known || len(args) != 1 {
		return errors.New(usage)
	}
	here, is := inside.Here()
	if !is {
		return fmt.Errorf("%s works inside a cluster alone, that is in what `cluster run` runs", verb)
	}
	return do(here, args[0])
}

// runInside runs a command in a new cluster.
func runInside(ctx context.Context, simulated int, command []string) (int, error) {
	if _, is := inside.Here(); is {
		return 0, errors.New("this is inside a cluster already")
	}
	made, err := build(ctx, os.Stderr)
	if err != nil {
		return 0, err
	}
	return node.Run(ctx, made, simulated, command)
}

// build makes the parts, if this machine can run them.
func build(ctx context.Context, log io.Writer) (parts.Parts, error) {
	if err := parts.Usable(parts.Packages(packageList)); err != nil {
		return parts.Parts{}, err
	}
	sources, err := sources()
	if err != nil {
		return parts.Parts{}, err
	}
	return parts.Make(ctx, sources, node.Unpack, log)
}

// sources is the folder of this program's source: the working directory or one above it has it, as it is in the clone.
func sources() (string, error) {
	from, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := from; ; folder = filepath.Dir(folder) {
		for _, candidate := range []string{folder, filepath.Join(folder, "test", "cluster")} {
			text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && strings.HasPrefix(string(text), "module github.com/metaml/metaml/test/cluster\n") {
				return candidate, nil
			}
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not in a clone of MetaML, whose test/cluster says what to build", from)
		}
	}
}
