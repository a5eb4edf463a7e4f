package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/metaml/metaml/agent/front"
)

// controlDescriptor is the socket to the monitor that started us.
const controlDescriptor = 3

// frontMain is the HTTP side of a server: `metaml-agent front --dir RUNDIR`, started by the server's monitor
// (docs/internals/protocols.md §6).
func frontMain(args []string) int {
	flags := flag.NewFlagSet("metaml-agent front", flag.ContinueOnError)
	dir := flags.String("dir", "", "the server's folder")
	descriptors := flags.String("listener", "",
		"the descriptors of the server's listening sockets, which are kept for the monitor after this one: 4,5")
	if flags.Parse(args) != nil || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-agent:", err)
		return 1
	}
	// The monitor says when to end; a terminal's signals are for whoever sits there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	control := os.NewFile(controlDescriptor, "control")
	options := front.MainOptions{
		Folder: path, Control: control, Listeners: inherited(*descriptors), Log: os.Stderr,
	}
	if err := front.Main(context.Background(), options); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-agent:", err)
		return 1
	}
	return 0
}
