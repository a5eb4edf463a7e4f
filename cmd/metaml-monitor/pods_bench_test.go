package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/follow"
	"github.com/metaml/metaml/deployer/collect/send"
)

// BenchmarkSecondsOfFiftyPods is how a monitor fares with 50 pods that report a hundred times a second, and one reader:
// the time from a report to the reader, and processor time and memory of the monitor. An operation is a second, so
// -benchtime 60x is a minute.
func BenchmarkSecondsOfFiftyPods(b *testing.B) {
	const pods, pace = 50, 10 * time.Millisecond
	p := start(b, "--dir", b.TempDir(), "--listen", "127.0.0.1:0", "--token-file", tokenFile(b, "secret"))
	ctx, cancel := context.WithCancelCause(b.Context())
	defer cancel(nil)
	got := &timed{sizes: map[string]int{}}
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	}
	var running, reporting sync.WaitGroup
	running.Go(func() {
		_ = follow.Run(ctx, follow.Monitor{Token: "secret", Dial: dial}, got, func(error) {})
	})
	b.ResetTimer()
	dir := b.TempDir()
	for i := range pods {
		path := filepath.Join(dir, fmt.Sprint(i))
		reporting.Go(func() {
			if err := reportFor(b, path, time.Duration(b.N)*time.Second, pace, p.address, i); err != nil {
				b.Error(err)
			}
		})
	}
	reporting.Wait()
	b.StopTimer()
	for i := range pods {
		info, err := os.Stat(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			b.Fatal(err)
		}
		for got.size(fmt.Sprint("pod-", i)) < int(info.Size()) {
			if b.Context().Err() != nil {
				b.Fatal("not everything arrived")
			}
			time.Sleep(time.Millisecond) //nolint:forbidigo // nothing says when the reader has it
		}
	}
	cancel(nil)
	running.Wait()
	memory := peak(b, p.command.Process.Pid)
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	p.ended(b)
	spent := p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
	slices.Sort(got.late)
	b.ReportMetric(spent.Seconds()*1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(memory, "MiB")
	b.ReportMetric(float64(len(got.late))/float64(b.N), "lines/op")
	b.ReportMetric(float64(got.late[len(got.late)/2].Milliseconds()), "median-ms")
	b.ReportMetric(float64(got.late[len(got.late)*99/100].Milliseconds()), "99%-ms")
	b.ReportMetric(float64(got.late[len(got.late)-1].Milliseconds()), "most-ms")
}

// reportFor is a pod: it writes lines, each with its time, and sends them.
func reportFor(b *testing.B, path string, duration, pace time.Duration, address string, i int) error {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	files := &send.Folders{Files: map[string]string{"events.jsonl": path}}
	source := collect.Source{ID: fmt.Sprint("pod-", i), Trial: i, Attempt: 1}
	to := send.Monitor{Address: netip.MustParseAddrPort(address), Token: "secret"}
	sender, err := send.Start(b.Context(), to, source, files, func(collect.Note) {})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for end := time.Now().Add(duration); time.Now().Before(end); <-ticker.C {
		const line = `{"time":%d,"type":"trial.report","trial":3,"metrics":{"loss":0.123,"accuracy":0.98}}` + "\n"
		if _, err := fmt.Fprintf(file, line, time.Now().UnixNano()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	return sender.Finish(ctx)
}

// timed notes how late each line is.
type timed struct {
	mu    sync.Mutex
	sizes map[string]int
	late  []time.Duration
}

func (k *timed) Held() ([]collect.Held, error) { return nil, nil }

func (k *timed) size(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sizes[id]
}

func (k *timed) Append(source collect.Source, _ string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.sizes[source.ID] += len(data)
	for line := range bytes.Lines(data) {
		var at int64
		if _, err := fmt.Sscanf(string(line), `{"time":%d`, &at); err != nil {
			return err
		}
		k.late = append(k.late, now.Sub(time.Unix(0, at)))
	}
	return nil
}
