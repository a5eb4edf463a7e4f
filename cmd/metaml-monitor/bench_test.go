package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/follow"
)

// BenchmarkReports is what a thousand reports of 50 pods, ten in a batch, cost the process of a monitor that somebody
// follows: processor time, and the most memory that it had.
func BenchmarkReports(b *testing.B) {
	const pods, lines = 50, 10
	p := start(b, "--dir", b.TempDir(), "--listen", "127.0.0.1:0", "--token-file", tokenFile(b, "secret"))
	ctx, cancel := context.WithCancelCause(b.Context())
	defer cancel(nil)
	got, done := &counted{want: make(chan int64, 1)}, make(chan struct{})
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	}
	go func() {
		defer close(done)
		_ = follow.Run(ctx, follow.Monitor{Token: "secret", Dial: dial}, got, func(error) {})
	}()
	conns := make([]net.Conn, pods)
	answers := make([]*bufio.Reader, pods)
	for i := range conns {
		conn, err := net.Dial("tcp", p.address)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i], answers[i] = conn, bufio.NewReader(conn)
	}
	var data []byte
	for i := range lines {
		const line = `{"n":%d,"type":"trial.report","trial":3,"metrics":{"loss":0.123},"step":%d}` + "\n"
		data = fmt.Appendf(data, line, i, i)
	}
	// Files of a hundred batches each, so that no limit of a file ends it.
	batches := 0
	for b.Loop() {
		for range 1000 / lines {
			pod, nth := batches%pods, batches/pods
			batches++
			post(b, conns[pod], answers[pod], collect.Batch{
				Source: collect.Source{ID: fmt.Sprint("pod-", pod), Trial: pod},
				Pieces: []collect.Piece{{
					File: fmt.Sprint("f", nth/100), Offset: int64(nth%100) * int64(len(data)), Data: data,
				}},
			})
		}
	}
	b.StopTimer()
	got.await(b, int64(batches*len(data)))
	cancel(nil)
	<-done
	memory := peak(b, p.command.Process.Pid)
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	p.ended(b)
	spent := p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
	b.ReportMetric(spent.Seconds()*1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(memory, "MiB")
}

// post sends a batch, and reads the answer.
func post(b *testing.B, conn net.Conn, answers *bufio.Reader, batch collect.Batch) {
	b.Helper()
	body := collect.AppendBatch(nil, batch)
	head := fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer secret\r\n"+
		"Content-Length: %d\r\n\r\n", len(body))
	if _, err := conn.Write(append([]byte(head), body...)); err != nil {
		b.Fatal(err)
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(response.Status, err, string(text))
	}
}

// counted counts what a reader gets.
type counted struct {
	total int64
	want  chan int64 // the newest total
}

func (c *counted) Held() ([]collect.Held, error) { return nil, nil }

func (c *counted) Append(_ collect.Source, _ string, data []byte) error {
	c.total += int64(len(data))
	select {
	case <-c.want:
	default:
	}
	c.want <- c.total
	return nil
}

func (c *counted) await(b *testing.B, total int64) {
	b.Helper()
	for got := int64(0); got < total; got = <-c.want {
		if b.Context().Err() != nil {
			b.Fatalf("the reader has %d bytes of %d", got, total)
		}
	}
}

// peak is the most memory that a process had, in MiB.
func peak(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // no Linux
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(bytes.TrimSpace(status))
	if found == nil {
		b.Fatal("no VmHWM")
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n / 1024
}
