package run

// The codes of notes that programs decide by; other notes are for people alone.
const (
	NoteTensorBoard = "tensorboard" // Text is the address of the run's TensorBoard
)
