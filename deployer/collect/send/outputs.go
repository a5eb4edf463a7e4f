package send

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// stall is how long nothing of an archive may go or come.
const stall = 30 * time.Second

// RefusedError is the monitor's no, which does not change when it is asked again.
type RefusedError struct {
	Status int // as in HTTP: 409, a later attempt was there; 507, there is no room
	Text   string
}

func (e *RefusedError) Error() string { return e.Text }

// PutOutput sends an archive, which write writes, in place of the one before. It returns when the monitor has all of it
// on its disk. A [RefusedError] is for good; after any other error it may be sent again.
func (m Monitor) PutOutput(ctx context.Context, of collect.Output, write func(io.Writer) error) error {
	if err := collect.CheckOutput(of); err != nil {
		return err
	}
	conn, err := dial(ctx, m.Address)
	if err != nil {
		return fmt.Errorf("the monitor cannot be reached: %w", err)
	}
	defer conn.Close()
	head := fmt.Sprintf("PUT /v1/outputs/%d/%s?round=%d&attempt=%d HTTP/1.1\r\nHost: %s\r\n"+
		"Authorization: Bearer %s\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"+
		"Connection: close\r\n\r\n", of.Trial, of.Kind, of.Round, of.Attempt, m.Address, m.Token)
	var r response
	err = within(ctx, conn, func() error {
		to := moving{conn}
		sent := func() error {
			if _, err := io.WriteString(to, head); err != nil {
				return err
			}
			chunks := &chunks{to: bufio.NewWriterSize(to, 64<<10)}
			if err := write(chunks); err != nil {
				return err
			}
			return chunks.end()
		}()
		if errors.Is(sent, errMoved) || sent == nil { // it may have said why it takes no more
			if r, err = readResponse(bufio.NewReader(to)); err == nil {
				return nil
			}
			return errors.Join(sent, fmt.Errorf("the monitor does not answer: %w", err))
		}
		return sent
	})
	switch {
	case err != nil:
		return err
	case r.status == 409 || r.status == 507:
		return &RefusedError{r.status, firstLine(r.body)}
	case r.status != 200:
		return fmt.Errorf("the monitor answers %d: %s", r.status, firstLine(r.body))
	}
	return nil
}

// GetOutput hands out the archive of a trial, to read. It gives false if there is none.
func (m Monitor) GetOutput(ctx context.Context, trial int, kind collect.Kind, read func(io.Reader) error) (
	found bool, err error,
) {
	conn, err := dial(ctx, m.Address)
	if err != nil {
		return false, fmt.Errorf("the monitor cannot be reached: %w", err)
	}
	defer conn.Close()
	head := fmt.Sprintf("GET /v1/outputs/%d/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Connection: close\r\n\r\n", trial, kind, m.Address, m.Token)
	err = within(ctx, conn, func() error {
		through := moving{conn}
		if _, err := io.WriteString(through, head); err != nil {
			return fmt.Errorf("the monitor cannot be reached: %w", err)
		}
		in, room := bufio.NewReaderSize(through, 64<<10), maxHeader
		r, length, err := readHead(in, &room)
		if err != nil {
			return fmt.Errorf("the monitor does not answer: %w", err)
		}
		switch {
		case r.status == 404:
			return nil
		case r.status != 200 || length < 0:
			return fmt.Errorf("the monitor answers %d to the question for files", r.status)
		}
		found = true
		body := &io.LimitedReader{R: in, N: length}
		if err := read(body); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, body); err != nil || body.N > 0 {
			return fmt.Errorf("the monitor sent less than it has: %w", errors.Join(io.ErrUnexpectedEOF, err))
		}
		return nil
	})
	return found, err
}

// errMoved marks what failed on the connection, and not in what is sent.
var errMoved = errors.New("the connection to the monitor broke")

// moving is a connection that fails when nothing moves.
type moving struct{ conn *os.File }

func (m moving) Write(p []byte) (int, error) {
	if err := m.conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	n, err := m.conn.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errMoved, err)
	}
	return n, err
}

func (m moving) Read(p []byte) (int, error) {
	if err := m.conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return m.conn.Read(p)
}

// chunks is a chunked body (RFC 9112, 7.1).
type chunks struct{ to *bufio.Writer }

func (c *chunks) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // that would be the end
	}
	if _, err := fmt.Fprintf(c.to, "%x\r\n", len(p)); err != nil {
		return 0, err
	}
	n, err := c.to.Write(p)
	if err == nil {
		_, err = c.to.WriteString("\r\n")
	}
	return n, err
}

func (c *chunks) end() error {
	if _, err := c.to.WriteString("0\r\n\r\n"); err != nil {
		return err
	}
	return c.to.Flush()
}
