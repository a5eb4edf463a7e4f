package front

import (
	"context"
	"errors"
	"os"
)

// MainOptions are what the process of a front is given.
type MainOptions struct {
	Folder  string   // the run's
	Control *os.File // the socket to the monitor: descriptor 3
	Log     *os.File // one JSON line for each request that ended with a status of 500 or more
}

// Main is the process of a front. It returns when it was told to stop, or when its monitor died and a new one was started.
func Main(ctx context.Context, o MainOptions) error {
	return errors.ErrUnsupported
}
