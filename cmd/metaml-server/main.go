// Command metaml-server is the first process of a server's pod: `metaml-server --in DIR --dir RUNDIR` serves the one
// revision that it is given, with the engine and the supervisor that run a server on a machine of one's own, until it
// gets SIGTERM. Its exit code and its termination message say why it cannot go on (deployer/pod).
//
// `metaml-server front` is its HTTP side, which it starts itself. `metaml-server install PATH` copies it out of an
// image that has nothing else, for the container that comes after.
//
// It joins agent/server with what a pod is given (agent/setup); start with [server.run].
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/metaml/metaml"
	agentserver "github.com/metaml/metaml/agent/server"
	"github.com/metaml/metaml/agent/setup"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
)

const usage = `usage: metaml-server --in DIR --dir RUNDIR [--message FILE] [--python PATH] [--program DIR]
                     [--model DIR] [--service IP:PORT] [--linger DURATION]
       metaml-server install PATH
       metaml-server version`

func main() { os.Exit(mainCode(os.Args[1:])) }

func mainCode(args []string) int {
	switch {
	case len(args) == 1 && (args[0] == "version" || args[0] == "--version"):
		fmt.Println("metaml-server", metaml.Version())
		return 0
	case len(args) == 2 && args[0] == "install":
		return exitCode(setup.Install(args[1]))
	case len(args) > 0 && args[0] == "front":
		return exitCode(agentserver.Front(context.Background(), args[1:], true))
	}
	s, err := parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-server:", err)
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	return s.run()
}

// exitCode says what went wrong with what is no server.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, agentserver.ErrUsage):
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	fmt.Fprintln(os.Stderr, "metaml-server:", err)
	return pod.ExitOurs
}

// parse reads the flags of a server.
func parse(args []string) (*server, error) {
	s := newServer()
	flags := flag.NewFlagSet("metaml-server", flag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&s.in.Dir, "in", "", "the folder with run.json, requires.json and program.tar.gz")
	dir := flags.String("dir", "", "the server's folder, which is made")
	flags.StringVar(&s.message, "message", "/dev/termination-log", "the file of the termination message")
	flags.StringVar(&s.in.Program, "program", "",
		"the folder of the program in the image, of which program.tar.gz has the rest")
	flags.StringVar(&s.python, "python", "", "the Python that runs it; without it python3 or python of PATH")
	flags.StringVar(&s.model, "model", "", "the folder that metaml.model() is, which is only read")
	service := flags.String("service", "", "the address of its Service, at which it tries to reach itself")
	flags.DurationVar(&s.linger, "linger", pod.Linger, "how long it goes on serving when it is to end")
	flags.IntVar(&s.port, "port", pod.ServerPort, "the port, for tests, which run beside each other")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case s.in.Dir == "" || *dir == "":
		return nil, errors.New("--in and --dir are missing")
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is no flag", flags.Arg(0))
	case s.linger < 0:
		return nil, fmt.Errorf("--linger is %v, which is no time to wait", s.linger)
	}
	if *service != "" {
		var err error
		if s.service, err = netip.ParseAddrPort(*service); err != nil {
			return nil, fmt.Errorf("--service is %q, which is no IP:PORT", *service)
		}
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		return nil, err
	}
	s.folder = folder.Run(path)
	return s, nil
}
