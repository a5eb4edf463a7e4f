// Command metaml-kernel is what kernel.json starts: a Jupyter kernel that wraps an
// ipykernel and lets %%train cells run sweeps.
//
//	metaml-kernel -f CONNECTION_FILE [--python PATH] [arguments for ipykernel]
//
// It honours METAML_PYTHON (the interpreter to wrap, when --python is not given),
// JPY_PARENT_PID (the process whose end ends it), and XDG_RUNTIME_DIR or TMPDIR (for
// its private sockets). To the wrapped kernel it sets JPY_PARENT_PID, _METAML_SOCKET,
// PYTHONPATH and _METAML_OLD_PYTHONPATH. It ends with the wrapped kernel's exit code,
// 128 + signal when that was killed, 1 when it could not begin, 2 when it was called
// wrongly.
//
// Read kernel/bridge for what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	metaml "github.com/metaml/metaml"
	"github.com/metaml/metaml/cmd/internal/beside"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
	"github.com/metaml/metaml/kernel/bridge"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	opts, err := parse(args)
	if errors.Is(err, errHelp) {
		fmt.Println(usage)
		return 0
	}
	if opts.version {
		fmt.Println("metaml-kernel " + metaml.Version())
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-kernel: "+err.Error())
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	interrupts := make(chan os.Signal, 16) // a burst of interrupts; more say nothing new
	signal.Notify(interrupts, os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	cfg := bridge.Config{
		ConnectionFile: opts.connectionFile, Args: opts.rest, Version: metaml.Version(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("kernel", "metaml"),
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cfg.Python, cfg.PythonError = findPython(self, opts.python)
	cfg.ModuleDir, cfg.ModuleError = pymodule.Dir()
	cfg.Metaml = func() (argv, env []string, err error) {
		path, err := beside.Find("metaml")
		return []string{path, "run", "--session", "-", "--render"}, os.Environ(), err
	}
	code, err := bridge.Run(ctx, cfg, interrupts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-kernel: "+err.Error())
	}
	return code
}
