// Package board keeps a TensorBoard beside a run that is set to have one: a [train.Supervisor] around another that
// starts it when the first trial starts, announces its address as a note, and ends it with the run.
//
// Read [Wrap] first. It imports deployer/engine/train, deployer/run and the Python module.
package board

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"

	pymodule "github.com/metaml/metaml/jupyter-ext/python"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// Wrap gives sup as it is if the run is set to have no TensorBoard.
func Wrap(sup train.Supervisor, job engine.Job) train.Supervisor {
	if !job.Spec.TensorBoard {
		return sup
	}
	life, end := context.WithCancel(context.Background()) //nolint:forbidigo // a plain end, not an error
	s := &supervisor{Relay: train.NewRelay(sup), job: job, life: life, end: end}
	go s.Run(train.Watch{})
	return s
}

type supervisor struct {
	*train.Relay
	job  engine.Job
	once sync.Once
	wait sync.WaitGroup  // for the TensorBoard
	life context.Context //nolint:containedctx // the life of the TensorBoard, which Close ends first
	end  context.CancelFunc
}

// Start starts the TensorBoard before the first attempt.
func (s *supervisor) Start(a run.Attempt) {
	s.once.Do(func() { s.wait.Go(s.serve) })
	s.Relay.Start(a)
}

// Close ends the TensorBoard, then the inner Supervisor, which kills whatever process is left, and waits for both.
func (s *supervisor) Close() {
	s.end()
	s.wait.Wait()
	s.Relay.Close()
}

// grace is how long a TensorBoard may take to end after SIGTERM; it takes 0.1 s here.
const grace = 3 * time.Second

// announced is how TensorBoard says where it is.
var announced = regexp.MustCompile(`TensorBoard \S+ at (http://\S+)`)

// serve runs the TensorBoard until the run is closed. The thread stays locked because the process is bound to die with
// it.
func (s *supervisor) serve() {
	runtime.LockOSThread()
	logs := s.job.Folder.Trials()
	if err := os.MkdirAll(logs, 0o700); err != nil {
		s.note(run.NoteTensorBoardFailed, fmt.Sprintf("TensorBoard did not start: %v", err), "")
		return
	}
	python := s.job.Spec.Python
	cmd := exec.CommandContext(s.life, python, pymodule.RunTensorBoard(logs, 0, "--reload_interval", "2")...)
	cmd.SysProcAttr = dieWithUs()
	// What it writes for others to find it, it removes at SIGTERM but not when it dies with us: so that stays in the
	// run's folder.
	temporary := s.job.Folder.TensorBoard()
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		s.note(run.NoteTensorBoardFailed, fmt.Sprintf("TensorBoard did not start: %v", err), "")
		return
	}
	defer func() { _ = os.RemoveAll(temporary) }() // else it goes with the run
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.note(run.NoteTensorBoardFailed, fmt.Sprintf("TensorBoard did not start: %v", err), "")
		return
	}
	address, last := "", ""
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		last = lines.Text()
		if m := announced.FindStringSubmatch(last); m != nil && address == "" {
			address = m[1]
			s.note(run.NoteTensorBoard, address, "")
		}
	}
	_ = cmd.Wait() // its last line says how it ended
	if address == "" && s.life.Err() == nil {
		s.note(run.NoteTensorBoardMissing, "there is no TensorBoard: "+prose.Clause(last),
			fmt.Sprintf("Install it with `%s -m pip install tensorboard`.", python))
	}
}

func (s *supervisor) note(code, text, hint string) {
	s.Send(run.Update{Note: &run.Note{Code: code, Text: text, Hint: hint}}, s.life.Done())
}
