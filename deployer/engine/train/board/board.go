// Package board keeps a TensorBoard beside a run that is set to have one: a [train.Supervisor] around another that
// starts it when the first trial starts, announces its address as a note, and ends it with the run.
//
// Read [Wrap] first. It imports deployer/engine/train, deployer/run and deployer/tensorboard.
package board

import (
	"context"
	"sync"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/tensorboard"
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
	s.once.Do(func() {
		s.wait.Go(func() { tensorboard.Serve(s.life, s.job.Folder, s.job.Spec.Python, s.note) })
	})
	s.Relay.Start(a)
}

// Close ends the TensorBoard, then the inner Supervisor, which kills whatever process is left, and waits for both.
func (s *supervisor) Close() {
	s.end()
	s.wait.Wait()
	s.Relay.Close()
}

func (s *supervisor) note(n run.Note) { s.Send(run.Update{Note: &n}, s.life.Done()) }
