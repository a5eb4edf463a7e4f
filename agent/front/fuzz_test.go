package front

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/agent/front/jsonarray"
	"github.com/metaml/metaml/deployer/run"
)

// FuzzWorkerFrames: whatever a worker sends is read alike at once and in pieces, or is an error.
func FuzzWorkerFrames(f *testing.F) {
	f.Add(replyTo(1, 2, `{"a":1}`))
	stacked := append(binary.LittleEndian.AppendUint16(nil, 200), replyArray, 1)
	stacked = binary.LittleEndian.AppendUint32(stacked, 16)
	stacked = append(stacked, 2, 0, 0, 0, 0, 0, 0, 0)
	stacked = append(append(stacked, "float64\x00"...), make([]byte, 48)...)
	f.Add(append(appendHeader(nil, len(stacked), frameReply, flagStacked, 3, 1), stacked...))
	f.Add(append(appendHeader(nil, len(stacked), frameReply, 0, 1, 1), stacked...))
	f.Add(append(appendHeader(nil, len(plainHello)+4, frameHello, 0, 0, 0), plainHello+"    "...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		whole := newFrameReader(bytes.NewReader(data))
		pieces := newFrameReader(iotest.OneByteReader(bytes.NewReader(data)))
		for {
			a, errA := whole.next()
			b, errB := pieces.next()
			if (errA == nil) != (errB == nil) || a.kind != b.kind || a.count != b.count || a.id != b.id ||
				!bytes.Equal(a.body, b.body) {
				t.Fatalf("at once %+v %v, in pieces %+v %v", a, errA, b, errB)
			}
			if errA != nil {
				break
			}
			items, err := newReplyItems(a)
			for i := 0; err == nil && i < a.count; i++ {
				var item replyItem
				if err = items.next(&item); err != nil {
					break
				}
				if item.kind != replyArray {
					continue
				}
				lists := 1
				for _, n := range item.shape {
					lists *= max(int(n), 1)
				}
				if lists < 1<<16 {
					_, _ = item.dtype.Append(nil, item.shape, item.data)
				}
			}
			if err != nil && !errors.Is(err, errGarbage) {
				t.Fatal(err)
			}
		}
		if _, err := readHello(newFrameReader(bytes.NewReader(data))); err == nil && data[4] != frameHello {
			t.Fatalf("a hello of type %d", data[4])
		}
	})
}

// FuzzOrders: whatever a monitor says, the front ends in an orderly way when it hangs up.
func FuzzOrders(f *testing.F) {
	add := func(orders ...run.FrontOrder) {
		var all []byte
		for _, o := range orders {
			b, err := frame.Encode(o)
			if err != nil {
				f.Fatal(err)
			}
			all = append(all, b...)
		}
		f.Add(all)
	}
	body := "1"
	add(run.FrontOrder{Type: "revision", Revision: 1, Path: "/p", TimeoutMS: 1, Workers: 2}, run.FrontOrder{
		Type: "worker", Revision: 1, Attempt: 1, Socket: "nothing",
	},
		run.FrontOrder{Type: "scale", Revision: 1, Workers: 3}, run.FrontOrder{Type: "scale", Revision: 1, Workers: 1},
		run.FrontOrder{Type: "probe", Revision: 1, Body: &body}, run.FrontOrder{
			Type:     "switch",
			Revision: 1,
		}, run.FrontOrder{Type: "retire", Revision: 1})
	add(run.FrontOrder{Type: "listen", Address: "x"}, run.FrontOrder{Type: "unlisten", Address: "x"},
		run.FrontOrder{Type: "stop", GraceMS: 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("socket")) && !bytes.Contains(data, []byte("nothing")) {
			return // do not dial what is not ours
		}
		ours, file, err := frame.Pair()
		check(t, err)
		theirs, err := net.FileConn(file)
		check(t, err)
		_ = file.Close()
		ends := [2]*net.UnixConn{ours, theirs.(*net.UnixConn)}
		fr := newFront(ends[1], io.Discard, defaultLimits)
		done := make(chan struct{})
		go func() {
			defer close(done)
			fr.serveOrders(context.Background())
			fr.release()
		}()
		_, _ = ends[0].Write(data)
		_ = ends[0].CloseWrite()
		go func() { _, _ = io.Copy(io.Discard, ends[0]) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the front does not end")
		}
		_ = ends[0].Close()
	})
}

// FuzzBodies: every body of every content type becomes the item of a call that says how long it is, or is refused with
// a status.
func FuzzBodies(f *testing.F) {
	f.Add("application/json", []byte("[[1,2],[3,4]]"), "array")
	f.Add("application/x-www-form-urlencoded", []byte("a=1&b=%20&a=2"), "json")
	f.Add("application/x-www-form-urlencoded", []byte(" {\"a\": 1}"), "array")
	f.Add("text/plain; charset=latin-1", []byte("\xff\x00"), "json")
	f.Add("", []byte(""), "bytes")
	f.Add("application/json", []byte("\xef\xbb\xbf{\"x\": [1, null]}"), "array")
	f.Add("application/json", []byte("\xef\xbb\xbf{\"y\": [1, null]}"), "json")
	f.Add("multipart/form-data; boundary=b",
		[]byte("--b\r\nContent-Disposition: form-data; name=\"x\"; filename=\"f\"\r\n\r\n\xff\r\n--b--\r\n"), "bytes")
	f.Add("multipart/form-data; boundary=b",
		[]byte("--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; "+
			"name=\"\""), "json")
	f.Fuzz(func(t *testing.T, contentType string, body []byte, kind string) {
		if len(body) > 1<<16 {
			return
		}
		fr := &front{limits: defaultLimits, budget: budget{limit: 1 << 24}}
		h := &hello{}
		if h.Input.Kind = kind; kind == "array" {
			h.array, h.Input.Name = jsonarray.DecoderOf("float64"), "x"
		}
		q := request{contentType: contentType, body: newBuffer(&fr.budget), size: len(body)}
		if !q.body.grow(8 + pad8(len(body))) {
			t.Fatal("no room")
		}
		q.body.b = append(append(q.body.b[:0], make([]byte, 8)...), body...)
		c := newCall(time.Now(), nil)
		var p *problem
		err := fr.item(h, c, &q)
		switch {
		case err != nil && (!errors.As(err, &p) || p.status < 400 || p.status > 499 || p.text == ""):
			t.Fatalf("refused with %+v", err)
		case err == nil:
			b := c.item.b
			length := int(binary.LittleEndian.Uint32(b[4:]))
			if len(b) != c.prefix+pad8(length) || b[0] != c.kind || c.prefix != itemPrefix(int(b[1])) {
				t.Fatalf("an item of %d bytes says %d after %d", len(b), length, c.prefix)
			}
			switch c.kind {
			case itemJSON:
				if !bytes.Equal(b[8:8+length], bytes.TrimPrefix(body, []byte(byteOrderMark))) {
					t.Fatalf("%q became %q", body, b[8:8+length])
				}
			case itemForm:
				checkForm(t, b[8:8+length])
			case itemBytes:
				if want := contentType + "\x00" + string(body); string(b[8:8+length]) != want {
					t.Fatalf("%q became %q", want, b[8:8+length])
				}
			}
			if c.item != q.body {
				c.item.release()
			}
		}
		c.item = nil
		q.release()
		c.release()
		if used := fr.budget.used.Load(); used != 0 {
			t.Fatalf("%d bytes are still counted", used)
		}
	})
}

// FuzzStrict: whether bytes come at once or one by one does not matter to what is wrong with them, and what is right is
// whole requests as net/http sees them too.
func FuzzStrict(f *testing.F) {
	for _, text := range []string{
		"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n[1]GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\n[1]\r\n0\r\nX: y\r\n\r\n",
		"\r\nGET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nX: y\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n1",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8<<10 {
			return
		}
		whole, pieces := strict{limit: 1000}, strict{limit: 1000}
		good := whole.check(data)
		for i := 0; i < len(data) && pieces.check(data[i:i+1]) == 1; i++ {
		}
		switch {
		case (whole.wrong == nil) != (pieces.wrong == nil),
			whole.wrong != nil && whole.wrong.status != pieces.wrong.status:
			t.Fatalf("%q: at once %v, one by one %v", data, whole.wrong, pieces.wrong)
		case whole.wrong == nil && (whole.at != pieces.at || whole.left != pieces.left || whole.long != pieces.long):
			t.Fatalf("%q: at once it ends at %d, one by one at %d", data, whole.at, pieces.at)
		case whole.wrong != nil || whole.at != atRequest || whole.long > 0 || good < len(data):
			return
		}
		// Nothing is left over, so net/http must not be in the middle of a request either.
		for in := bufio.NewReader(bytes.NewReader(data)); ; {
			request, err := http.ReadRequest(in)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				return // what is wrong for other reasons fasthttp refuses
			}
			if _, err := io.Copy(io.Discard, request.Body); errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q: net/http waits for more of a body", data)
			}
		}
	})
}

// checkForm reads the item of a form as a worker does.
func checkForm(t *testing.T, data []byte) {
	t.Helper()
	end := len(data) - 4
	head := data[end-int(binary.LittleEndian.Uint32(data[end:])) : end]
	var parts [][3]any
	if err := json.Unmarshal(head, &parts); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, one := range parts {
		sum += int(one[1].(float64))
	}
	if sum != end-len(head) {
		t.Fatalf("%d bytes of parts, and %s", end-len(head), head)
	}
}

// FuzzHTTP sends random bytes and broken requests to a front: it answers or hangs up, and others are answered all the
// while.
func FuzzHTTP(f *testing.F) {
	for _, text := range []string{
		"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n[1]",
		"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\nGET /healthz " +
			"HTTP/1.1\r\n\r\n",
		"GET /predict?a=%ff&b=1 HTTP/1.0\r\n\r\n", "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n1",
		"\x16\x03\x01\x02\x00\x01\x00\x01", "",
		"POST /predict HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=1&b",
		"POST /predict HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n0\r\n\r\n",
		"GET /" + strings.Repeat("x", 20_000) + " HTTP/1.1\r\n\r\n",
		"GET /healthz HTTP/9.9\r\n\r\n", "GET /healthz HTTP/1.1\nHost: x\n\n",
		"GET http://evil.example/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /predict HTTP/1.1\r\nHost: me@x\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: " +
			"cross-site\r\nContent-Length: 99999999\r\n\r\n1",
		"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\x01\r\n1\r\n0\r\nX: \n\r\n",
		"OPTIONS /predict HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\nAccess-Control-Request-Method: POST\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	l := defaultLimits
	l.body, l.bytes = 1<<20, 8<<20
	r := newRig(f, l)
	r.rogueRevision(run.FrontRevision{Timeout: 10 * time.Second}, rogue(f, plainHello, func(c *net.UnixConn) {
		for {
			_, count, id, _, err := readCall(c)
			if err != nil {
				return
			}
			if _, err := c.Write(replyTo(id, count, "true")); err != nil {
				return
			}
		}
	}))
	other := r.dial()
	in := bufio.NewReader(other)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := net.Dial("tcp", r.addr)
		check(t, err)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, _ = c.Write(data)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		answer, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("neither answered nor hung up: %q", data)
		}
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Fatalf("%q was answered with %q", data, answer)
		}
		_ = other.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(other, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("another connection, after %q: %v", data, err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != 200 || string(body) != "true" {
			t.Fatalf("another connection, after %q: %d %s", data, response.StatusCode, body)
		}
		if strings.Contains(r.log.String(), "panic") {
			t.Fatalf("%q: %s", data, r.log)
		}
	})
}
