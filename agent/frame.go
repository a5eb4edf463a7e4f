package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// maxFrame bounds one message between us and the loader, in bytes. It is more than docs/protocols.md §5 asks for, so that a
// parameter may be a sizeable array.
const maxFrame = 16 << 20

// encodeFrame writes a message as u32 little-endian length and JSON.
func encodeFrame(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a message to the loader: %w", err)
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("write a message to the loader: %d bytes are more than %d; are the parameters that large?", len(body), maxFrame)
	}
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, len(body)+4), uint32(len(body))), body...), nil
}

// readFrame reads one message. The error is io.EOF if the other side closed between two.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > maxFrame {
		return fmt.Errorf("the loader sent a message of %d bytes", size)
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
		return fmt.Errorf("read a message of the loader: %w", err)
	}
	return nil
}

// writeFrame sends a message and, with its first byte, descriptors.
func writeFrame(conn *net.UnixConn, v any, fds ...int) error {
	data, err := encodeFrame(v)
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
		return fmt.Errorf("write to the loader: %w", err)
	}
	return nil
}
