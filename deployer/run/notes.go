package run

// The codes of notes that the engines and what is wrapped around them give.
const (
	NoteCrashAtExit        = "crash-at-exit"       // a trial was ended by a signal after it had returned
	NoteExample            = "example"             // the made example was answered with an error; the server is ready
	NoteFrontDies          = "front-dies"          // the front of a server keeps ending
	NoteScalars            = "scalars"             // not all scalars of a trial are in the table
	NoteSlowLoad           = "slow-load"           // the top level of a server has been running for long
	NoteTensorBoardFailed  = "tensorboard-failed"  // TensorBoard did not start
	NoteTensorBoardMissing = "tensorboard-missing" // TensorBoard is not installed
	NoteWorkerDies         = "worker-dies"         // a worker of a server keeps ending
	NoteTensorBoard        = "tensorboard"         // Text is the address of the run's TensorBoard
)
