package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/metaml/metaml/internal/usererror"
)

// PortError says why nothing can listen on the address that was chosen.
func PortError(cause error, host string, port int) *usererror.Error {
	var unknown *net.DNSError
	switch {
	case errors.Is(cause, syscall.EADDRINUSE):
		return usererror.Wrap(cause, usererror.CodePort, fmt.Sprintf("port %d is in use already", port),
			"Stop what listens there, or ask for another one with --port.")
	case errors.Is(cause, fs.ErrPermission):
		return usererror.Wrap(cause, usererror.CodePort,
			fmt.Sprintf("port %d may not be used by this user: ports below 1024 belong to the system", port),
			"Ask for another one, such as --port 8080. Who runs this machine can put a proxy before it.")
	case errors.Is(cause, syscall.EADDRNOTAVAIL), errors.As(cause, &unknown):
		return usererror.Wrap(cause, usererror.CodeHost, fmt.Sprintf("%s is no address of this machine", host),
			"--host 127.0.0.1 is for this machine alone, --host 0.0.0.0 for all its addresses.")
	default:
		return usererror.Wrap(cause, usererror.CodePort,
			fmt.Sprintf("nothing can listen on port %d of %s: %v", port, host,
				cause), "Ask for another one with --host or --port.")
	}
}
