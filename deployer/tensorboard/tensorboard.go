// Package tensorboard runs a TensorBoard of a run's folder, for whoever looks after the run: its monitor on this
// machine, or the process that follows it in a cluster.
//
// Read [Serve], which is all of it. It imports deployer/folder, deployer/run and the Python module.
package tensorboard

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// grace is how long a TensorBoard may take to end after SIGTERM; it takes 0.1 s here.
const grace = 3 * time.Second

// announced is how TensorBoard says where it is.
var announced = regexp.MustCompile(`TensorBoard \S+ at (http://\S+)`)

// Serve shows the event files of a run's trials with the TensorBoard of python until ctx ends, and returns when the
// TensorBoard is gone; that dies with this process, too, however this one ends. note gets its address, or why there is
// none, while Serve runs.
func Serve(ctx context.Context, f folder.Run, python string, note func(run.Note)) {
	// The process is bound to die with the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	address, last, err := serve(ctx, f, python, func(address string) {
		note(run.Note{Code: run.NoteTensorBoard, Text: address})
	})
	switch {
	case err != nil:
		note(run.Note{Code: run.NoteTensorBoardFailed, Text: fmt.Sprintf("TensorBoard did not start: %v", err)})
	case address == "" && ctx.Err() == nil:
		note(run.Note{
			Code: run.NoteTensorBoardMissing, Text: "there is no TensorBoard: " + prose.Clause(last),
			Hint: fmt.Sprintf("Install it with `%s -m pip install tensorboard`.", python),
		})
	}
}

// serve gives the address that TensorBoard announced, if it did, and the last line that it wrote, which says how it
// ended. The error is about its start.
func serve(ctx context.Context, f folder.Run, python string, announce func(string)) (address, last string, err error) {
	logs := f.Trials()
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return "", "", err
	}
	// What it writes for others to find it, it removes at SIGTERM but not when it dies with us: so that stays in the
	// run's folder.
	temporary := f.TensorBoard()
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return "", "", err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // else it goes with the run
	cmd := exec.CommandContext(ctx, python, pymodule.RunTensorBoard(logs, 0, "--reload_interval", "2")...)
	cmd.SysProcAttr = dieWithUs()
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	said, err := cmd.StderrPipe()
	if err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return "", "", nil
		}
		return "", "", err
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		last = lines.Text()
		if m := announced.FindStringSubmatch(last); m != nil && address == "" {
			address = m[1]
			announce(address)
		}
	}
	_ = cmd.Wait() // its last line says how it ended
	return address, last, nil
}
