package run

// The codes of notes that the agent, the engines and what is wrapped around them give.
const (
	NoteImage              = "image"               // how the packages of an image were found, or what it is for
	NoteOutputs            = "outputs"             // what trials write into metaml.output() is not kept
	NoteService            = "service"             // whether a server's pod is reached through its Service
	NoteAutoscaler         = "autoscaler"          // whether the number of a server's replicas follows its load
	NoteWaiting            = "waiting"             // what the pods of a server wait for
	NoteCluster            = "cluster"             // the cluster of a run does not answer, or does so again
	NoteMonitor            = "monitor"             // live curves of a trial are missing, or there again
	NoteRecord             = "record"              // where the record of a run is kept, or that it is not all there
	NoteLog                = "log"                 // what a trial printed is not all kept
	NoteCrashAtExit        = "crash-at-exit"       // a trial was ended by a signal after it had returned
	NoteExample            = "example"             // the made example was answered with an error; the server is ready
	NoteFrontDies          = "front-dies"          // the front of a server keeps ending
	NoteStartTimeout       = "start-timeout"       // no trial of a run on a cluster started in time
	NoteScalars            = "scalars"             // not all scalars of a trial are in the table
	NoteSlowLoad           = "slow-load"           // the top level of a server has been running for long
	NoteTensorBoardFailed  = "tensorboard-failed"  // TensorBoard did not start
	NoteTensorBoardMissing = "tensorboard-missing" // TensorBoard is not installed
	NoteWorkerDies         = "worker-dies"         // a worker of a server keeps ending
	NoteTensorBoard        = "tensorboard"         // Text is the address of the run's TensorBoard
	NoteSharedFile         = "shared-file"         // several trials wrote the same file
	NoteDiffers            = "differs"             // a value of the program is another one than in the session
	NoteScarce             = "scarce"              // the machine cannot start more processes at the moment
	NoteDescriptors        = "descriptors"         // the limit of open files bounds how many trials run at once
	NoteMayHang            = "may-hang"            // a trial that was forked may hang
	NoteReports            = "reports"             // reports of a trial came too fast and were merged
	NoteLogCapped          = "log-capped"          // a log reached its limit, and its middle is left out
	NotePackages           = "packages"            // the image has other versions of packages than the session
	NoteNotify             = "notify"              // the command of --notify was not started, failed or was killed
)
