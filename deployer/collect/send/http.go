package send

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// requestTime is how long a batch and the answer to it may take.
const requestTime = 10 * time.Second

// client sends batches over one connection, which it makes again when it broke. It is not safe for concurrent use.
type client struct {
	address netip.AddrPort
	token   string
	conn    *os.File
	in      *bufio.Reader
	request []byte
}

// post sends a batch, and reads the answer to it. After an error the connection is closed: what comes later on it would
// be taken for the answer to another batch.
func (c *client) post(ctx context.Context, body []byte) (answer collect.Answer, err error) {
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = dial(ctx, c.address); err != nil {
			return collect.Answer{}, fmt.Errorf("the monitor cannot be reached: %w", err)
		}
		c.in = bufio.NewReaderSize(c.conn, 4<<10)
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTime)); err != nil {
		return collect.Answer{}, fmt.Errorf("the monitor cannot be reached: %w", err)
	}
	c.request = fmt.Appendf(c.request[:0], "POST /v1/batch HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", c.address, c.token, len(body))
	c.request = append(c.request, body...)
	var r response
	err = within(ctx, c.conn, func() error {
		if _, err := c.conn.Write(c.request); err != nil {
			return fmt.Errorf("the monitor cannot be reached: %w", err)
		}
		if r, err = readResponse(c.in); err != nil {
			return fmt.Errorf("the monitor does not answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return collect.Answer{}, err
	}
	if r.last {
		defer c.close()
	}
	if r.status != 200 && r.status != 507 {
		return collect.Answer{}, fmt.Errorf("the monitor answers %d: %s", r.status, firstLine(r.body))
	}
	return collect.DecodeAnswer(r.body)
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn, c.in = nil, nil
}

// firstLine is the beginning of a peer's text, for an error.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(string(body[:min(len(body), 200)]), "\n")
	return line
}

// maxHeader bounds the lines of a response before its body, in bytes: a proxy in between may add some.
const maxHeader = 16 << 10

// response is what came back.
type response struct {
	status int
	body   []byte
	last   bool // the connection takes no further request
}

// readResponse reads an HTTP/1.1 response (RFC 9112), with a body of at most [collect.MaxAnswerSize]. It reads no more
// than belongs to it.
func readResponse(in *bufio.Reader) (response, error) {
	room := maxHeader
	for {
		r, length, err := readHead(in, &room)
		if err != nil {
			return response{}, err
		}
		if r.status < 200 {
			continue // RFC 9110, 15.2: an interim response; the final one follows
		}
		switch {
		case length == chunked:
			r.body, err = readChunks(in, &room)
		case length > collect.MaxAnswerSize:
			err = fmt.Errorf("a body of %d bytes", length)
		case length >= 0:
			r.body = make([]byte, length)
			_, err = io.ReadFull(in, r.body)
		default: // up to the end of the connection
			r.last = true
			r.body, err = io.ReadAll(io.LimitReader(in, collect.MaxAnswerSize+1))
			if len(r.body) > collect.MaxAnswerSize {
				err = errors.New("a body without an end")
			}
		}
		return r, err
	}
}

// The lengths of bodies that no number says.
const (
	untilClosed = -1
	chunked     = -2
)

// readHead reads the status line and the headers. Room is what the lines may have together.
func readHead(in *bufio.Reader, room *int) (r response, length int64, err error) {
	line, err := readLine(in, room)
	if err != nil {
		return response{}, 0, err
	}
	protocol, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	r.status, err = strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(protocol, "HTTP/1.") || r.status < 100 || r.status > 599 {
		return response{}, 0, fmt.Errorf("no HTTP/1.1 response: it begins with %.40q", line)
	}
	r.last = protocol == "HTTP/1.0"
	length = untilClosed
	for {
		line, err := readLine(in, room)
		if err != nil {
			return response{}, 0, err
		}
		if line == "" {
			return r, length, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.ToLower(strings.TrimSpace(value))
		switch strings.ToLower(name) {
		case "transfer-encoding":
			if value != "chunked" {
				return response{}, 0, fmt.Errorf("the transfer encoding %.40q", value)
			}
			length = chunked
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil {
				return response{}, 0, fmt.Errorf("the length %.40q", value)
			}
			if length != chunked { // RFC 9112, 6.3: the transfer encoding is what counts
				length = int64(n)
			}
		case "connection":
			r.last = r.last || strings.Contains(value, "close")
		}
	}
}

// readChunks reads a chunked body (RFC 9112, 7.1), with what comes after it.
func readChunks(in *bufio.Reader, room *int) ([]byte, error) {
	var body []byte
	for {
		line, err := readLine(in, room)
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 32)
		if err != nil {
			return nil, fmt.Errorf("a chunk of the length %.40q", line)
		}
		if n == 0 {
			for line != "" {
				if line, err = readLine(in, room); err != nil {
					return nil, err
				}
			}
			return body, nil
		}
		if uint64(len(body))+n > collect.MaxAnswerSize {
			return nil, fmt.Errorf("a body of more than %d bytes", collect.MaxAnswerSize)
		}
		start := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(in, body[start:]); err != nil {
			return nil, err
		}
		if line, err := readLine(in, room); err != nil || line != "" {
			return nil, errors.Join(errors.New("a chunk is longer than it says"), err)
		}
	}
}

// readLine reads a line, without its end.
func readLine(in *bufio.Reader, room *int) (string, error) {
	line, err := in.ReadSlice('\n')
	if *room -= len(line); *room < 0 || errors.Is(err, bufio.ErrBufferFull) {
		return "", errors.New("the headers are too long")
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
