package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// message is like those of the loader and of the front.
type message struct {
	Type  string   `json:"type"`
	Trial int      `json:"trial"`
	PID   int      `json:"pid"`
	Words []string `json:"words,omitempty"`
}

func FuzzFrame(f *testing.F) {
	good, err := Encode(message{Type: "started", Trial: 3, PID: 9})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Add([]byte{2, 0, 0, 0, '{', '}', 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, pieces := bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))
		for {
			var a, b message
			err1, err2 := Read(whole, &a), Read(pieces, &b)
			if (err1 == nil) != (err2 == nil) || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("at once %+v %v, in pieces %+v %v", a, err1, b, err2)
			}
			if err1 != nil {
				return
			}
			again, err := Encode(a)
			if err != nil {
				t.Fatal(err)
			}
			var c message
			if err := Read(bytes.NewReader(again), &c); err != nil || fmt.Sprint(c) != fmt.Sprint(a) {
				t.Fatalf("%+v came back as %+v: %v", a, c, err)
			}
		}
	})
}

func TestAFrameThatEndsEarly(t *testing.T) {
	t.Parallel()
	data, err := Encode(message{Type: "load"})
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := Read(bytes.NewReader(nil), &m); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("nothing: %v", err)
	}
	for _, cut := range []int{1, 4, len(data) - 1} {
		if err := Read(bytes.NewReader(data[:cut]), &m); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of %d: %v", cut, len(data), err)
		}
	}
}

// TestDescriptorsComeWithTheirMessage sends more than one read takes, so that messages and descriptors must be matched.
func TestDescriptorsComeWithTheirMessage(t *testing.T) {
	t.Parallel()
	ours, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*net.UnixConn{ours, theirs.(*net.UnixConn)}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	const count = 50
	folder := t.TempDir()
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for i := range count {
			f, err := os.Create(filepath.Join(folder, fmt.Sprint(i)))
			if err == nil {
				err = Write(ends[0], message{Type: "file", Trial: i}, int(f.Fd()))
				_ = f.Close()
			}
			if err != nil {
				failed <- err
				return
			}
		}
		_ = ends[0].CloseWrite()
	}()
	r := NewReader(ends[1])
	t.Cleanup(r.Close)
	for i := range count {
		var m message
		if err := Read(r, &m); err != nil {
			t.Fatal(err)
		}
		f := r.Take()
		if f == nil || m.Trial != i {
			t.Fatalf("message %d: %+v with %v", i, m, f)
		}
		if _, err := fmt.Fprint(f, i); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if got, _ := os.ReadFile(filepath.Join(folder, fmt.Sprint(i))); string(got) != fmt.Sprint(i) {
			t.Fatalf("descriptor %d wrote %q", i, got)
		}
	}
	if err := Read(r, &message{}); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}
