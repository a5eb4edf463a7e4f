// Package frame is how the processes of a run talk to each other over a socket pair: u32 little-endian length and JSON,
// with file descriptors by SCM_RIGHTS (docs/internals/protocols.md §5, §6). Pair makes one (Descriptors its bare ends),
// Read and Write are the rest, and Reader for who is sent descriptors.
//
// It imports nothing of the product.
package frame

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Max bounds one message, in bytes. It is more than docs/internals/protocols.md §5 requires, so that a parameter may be
// a sizeable array.
const Max = 16 << 20

// Descriptors makes the two ends of a connection, which no child inherits; they block.
func Descriptors() (fds [2]int, err error) {
	syscall.ForkLock.RLock() // no child may be started before the descriptors are marked: macOS has no SOCK_CLOEXEC
	defer syscall.ForkLock.RUnlock()
	fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return fds, fmt.Errorf("make a socket pair: %w", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds, nil
}

// Pair makes a connection: our end, and the file that a child gets.
func Pair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := Descriptors()
	if err != nil {
		return nil, nil, err
	}
	file, theirs := os.NewFile(uintptr(fds[0]), "pair"), os.NewFile(uintptr(fds[1]), "pair")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// Encode writes a message as length and JSON.
func Encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a message: %w", err)
	}
	if len(body) > Max {
		return nil, fmt.Errorf("write a message: %d bytes are more than %d; are the parameters that large?", len(body),
			Max)
	}
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, len(body)+4), uint32(len(body))), body...), nil
}

// Read reads one message. The error is io.EOF if the other side closed between two.
func Read(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > Max {
		return fmt.Errorf("a message of %d bytes was announced", size)
	}
	body := make([]byte, 0, min(size, 64<<10))
	for len(body) < int(size) {
		// Grow with what arrives, not with what the length claims.
		chunk := min(int(size)-len(body), max(len(body), 64<<10))
		body = append(body, make([]byte, chunk)...)
		if _, err := io.ReadFull(r, body[len(body)-chunk:]); err != nil {
			return errors.Join(io.ErrUnexpectedEOF, err)
		}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	return nil
}

// Write sends a message and, with its first byte, descriptors.
func Write(conn *net.UnixConn, v any, fds ...int) error {
	data, err := Encode(v)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	n, _, err := conn.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = conn.Write(data[n:])
	}
	if err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	return nil
}

// maxDescriptors bounds what one message may bring.
const maxDescriptors = 16

// Reader reads from a connection whose messages may bring descriptors, and keeps those until they are taken.
type Reader struct {
	conn  *net.UnixConn
	files []*os.File
}

// NewReader reads from conn.
func NewReader(conn *net.UnixConn) *Reader { return &Reader{conn: conn} }

// Read reads bytes and puts the descriptors that come with them aside.
func (r *Reader) Read(p []byte) (int, error) {
	control := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	n, c, _, _, err := r.conn.ReadMsgUnix(p, control)
	if c > 0 {
		messages, parseErr := unix.ParseSocketControlMessage(control[:c])
		if parseErr != nil {
			return n, fmt.Errorf("read descriptors: %w", parseErr)
		}
		for i := range messages {
			fds, rightsErr := unix.ParseUnixRights(&messages[i])
			if rightsErr != nil {
				continue // another kind of control message
			}
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				r.files = append(r.files, os.NewFile(uintptr(fd), "received"))
			}
		}
	}
	if err != nil {
		return n, err
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Take gives the oldest descriptor that came and was not taken, or nil; the caller closes it.
func (r *Reader) Take() *os.File {
	if len(r.files) == 0 {
		return nil
	}
	f := r.files[0]
	r.files = r.files[1:]
	return f
}

// Close closes the descriptors that nobody took. The connection is the caller's.
func (r *Reader) Close() {
	for f := r.Take(); f != nil; f = r.Take() {
		_ = f.Close()
	}
}
