// Command metaml-pod is the first process of a pod: `metaml-pod --in DIR --dir RUNDIR` runs the one trial of a sweep
// that the Job gave its index, with the engine and the supervisor that run it on a machine of one's own. Its exit code
// tells the Job what to do next, and its termination message what became of the trial (deployer/pod).
//
// `metaml-pod install PATH` copies it out of an image that has nothing else, for the container that comes after.
//
// It joins deployer/engine/train with agent, as cmd/metaml-agent does; start with [trial.run].
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/agent/setup"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
)

const usage = `usage: metaml-pod --in DIR --dir RUNDIR [--message FILE] [--annotations FILE] [--python PATH]
                  [--program DIR] [--trials DIR | --no-outputs]
       metaml-pod install PATH
       metaml-pod version`

func main() { os.Exit(mainCode(os.Args[1:])) }

func mainCode(args []string) int {
	if len(args) == 1 && (args[0] == "version" || args[0] == "--version") {
		fmt.Println("metaml-pod", metaml.Version())
		return 0
	}
	if len(args) == 2 && args[0] == "install" {
		if err := setup.Install(args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "metaml-pod:", err)
			return pod.ExitOurs
		}
		return 0
	}
	flags := flag.NewFlagSet("metaml-pod", flag.ContinueOnError)
	in := flags.String("in", "", "the folder with run.json, table.jsonl and program.tar.gz")
	dir := flags.String("dir", "", "the run's folder, which is made")
	t := &trial{}
	flags.StringVar(&t.message, "message", "/dev/termination-log", "the file of the termination message")
	flags.StringVar(
		&t.annotations,
		"annotations",
		"",
		"the file with the pod's annotations, as the downward API has them",
	)
	flags.StringVar(
		&t.in.Program,
		"program",
		"",
		"the folder of the program in the image, of which program.tar.gz has the rest",
	)
	flags.StringVar(&t.trials, "trials", "",
		"the folder of the run's trials on a volume, for their files; without it the monitor keeps those")
	flags.BoolVar(&t.noOutputs, "no-outputs", false, "keep no files of the trial")
	flags.StringVar(&t.python, "python", "", "the Python that runs it; without it python3 or python of PATH")
	if flags.Parse(args) != nil || *in == "" || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod:", err)
		return pod.ExitOurs
	}
	t.in.Dir, t.folder = *in, folder.Run(path)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	return t.run()
}
