package folder

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestWhyNothingCanListen(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]string{
		syscall.EADDRINUSE: "port 80 is in use already", syscall.EACCES: "port 80 may not be used by this user",
		syscall.EADDRNOTAVAIL: "10.0.0.1 is no address of this machine",
		&net.DNSError{}:       "10.0.0.1 is no address of this machine",
		syscall.ENFILE:        "nothing can listen on port 80 of 10.0.0.1",
	} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			err := PortError(cause, "10.0.0.1", 80)
			if !strings.Contains(err.Text, want) || err.Hint == "" || !errors.Is(err, cause) {
				t.Errorf("%v: %v", cause, err)
			}
		})
	}
}
