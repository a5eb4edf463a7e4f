package send

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/collect"
)

const (
	ok       = "HTTP/1.1 200 OK\r\n"
	inChunks = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

func TestResponsesAreReadAsServersAndProxiesWriteThem(t *testing.T) {
	long := strings.Repeat("a", collect.MaxAnswerSize)
	largest := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long)
	for _, c := range []struct {
		name, text string
		status     int
		body, rest string
		last       bool
		bad        string
	}{
		{"a length", ok + "Content-Length: 2\r\n\r\n{}next", 200, "{}", "next", false, ""},
		{"no reason", "HTTP/1.1 507\r\ncontent-length:2\r\n\r\n{}", 507, "{}", "", false, ""},
		{"nothing", ok + "Content-Length: 0\r\n\r\n", 200, "", "", false, ""},
		{"the largest", ok + largest, 200, long, "", false, ""},
		{
			"chunks", ok + "Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\nnext",
			200, "abc0123456789", "next", false, "",
		},
		{
			"chunks and a length", ok + "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
			200, "a", "", false, "",
		},
		{"to the end", "HTTP/1.1 502 Bad Gateway\r\n\r\nno upstream", 502, "no upstream", "", true, ""},
		{"closed", ok + "Connection: Close\r\nContent-Length: 1\r\n\r\na", 200, "a", "", true, ""},
		{"of version 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", "", true, ""},
		{
			"after an interim one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
			200, "a", "", false, "",
		},
		{"nobody", "", 0, "", "", false, "unexpected EOF"},
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", 0, "", "", false, "no HTTP/1.1 response"},
		{"no status", "HTTP/1.1 abc\r\n\r\n", 0, "", "", false, "no HTTP/1.1 response"},
		{"a status that is none", "HTTP/1.1 -200 OK\r\n\r\n", 0, "", "", false, "no HTTP/1.1 response"},
		{"torn head", ok + "Content-Le", 0, "", "", false, "unexpected EOF"},
		{"torn body", ok + "Content-Length: 2\r\n\r\na", 0, "", "", false, "unexpected EOF"},
		{"a negative length", ok + "Content-Length: -1\r\n\r\n", 0, "", "", false, "the length"},
		{"a gigabyte", ok + "Content-Length: 1073741824\r\n\r\n", 0, "", "", false, "a body of"},
		{"chunks of a gigabyte", inChunks + "40000000\r\n", 0, "", "", false, "a body of"},
		{"no end", ok + "\r\n" + long + "a", 0, "", "", false, "without an end"},
		{
			"a chunk that is longer", inChunks + "1\r\nabc\r\n0\r\n\r\n",
			0, "", "", false, "longer than it says",
		},
		{"another encoding", ok + "Transfer-Encoding: gzip\r\n\r\n", 0, "", "", false, "encoding"},
		{"a long line", ok + "X: " + long, 0, "", "", false, "too long"},
		{"many lines", ok + strings.Repeat("X: yyyyyyyyyy\r\n", 2000), 0, "", "", false, "too long"},
		{"interim ones for ever", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2000), 0, "", "", false, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := bufio.NewReader(strings.NewReader(c.text))
			r, err := readResponse(in)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("got %+v and error %v, want %q", r, err, c.bad)
				}
				return
			}
			rest, _ := io.ReadAll(in)
			if err != nil || r.status != c.status || string(r.body) != c.body || string(rest) != c.rest ||
				r.last != c.last {
				t.Errorf("got %d %.40q, left %q, last %v, error %v", r.status, r.body, rest, r.last, err)
			}
		})
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add(ok + "Content-Length: 2\r\n\r\n{}")
	f.Add(inChunks + "3\r\nabc\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readResponse(bufio.NewReaderSize(strings.NewReader(text), 4<<10))
		if err == nil && (len(r.body) > collect.MaxAnswerSize || r.status < 200 || r.status > 599) {
			t.Errorf("status %d with %d bytes", r.status, len(r.body))
		}
	})
}
