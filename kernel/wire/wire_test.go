package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vector is Python's own hmac, which jupyter_client signs with.
func TestSignatureIsJupyters(t *testing.T) {
	s, err := NewSigner("secret", "hmac-sha256")
	if err != nil {
		t.Fatal(err)
	}
	got := string(s.Sign([]byte(`{"msg_id": "1"}`), []byte("{}"), []byte("{}"), []byte(`{"code": "1"}`)))
	// hmac.new(b"secret", b'{"msg_id": "1"}{}{}{"code": "1"}', "sha256").hexdigest()
	const want = "14c913d7f0501235481294abf9ed31d1aab992aa50d543198be0853b3bb6969d"
	if got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

func TestCheckRefusesAnyChangedPart(t *testing.T) {
	s, err := NewSigner("secret", "")
	if err != nil {
		t.Fatal(err)
	}
	frames, err := NewMaker(s).Make([][]byte{[]byte("who")}, "execute_request", []byte(`{"msg_id":"p"}`), nil,
		map[string]string{"code": "\xff"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(frames)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(m); err != nil {
		t.Errorf("our own message: %v", err)
	}
	for i := m.Start + 1; i < len(frames); i++ {
		changed := append([][]byte(nil), frames...)
		changed[i] = append([]byte("x"), frames[i]...)
		bad, err := Parse(changed)
		if err != nil {
			t.Fatal(err)
		}
		if s.Check(bad) == nil {
			t.Errorf("frame %d was changed and the signature still holds", i)
		}
	}
}

func TestAnEmptyKeySignsNothing(t *testing.T) {
	s, err := NewSigner("", "hmac-sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sign([]byte("{}"), nil, nil, nil); len(got) != 0 {
		t.Errorf("signature is %q, want none", got)
	}
}

func TestReplaceKeepsAllButContentAndSignature(t *testing.T) {
	s, _ := NewSigner("k", "hmac-sha512")
	k := NewMaker(s)
	frames, err := k.Make(nil, "kernel_info_reply", nil, nil, map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	frames = append(frames, []byte("buffer"))
	m, _ := Parse(frames)
	out, err := k.Replace(m, map[string]int{"a": 2})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(out)
	if err := s.Check(r); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(r.Header(), m.Header()) || string(r.Buffers()[0]) != "buffer" || string(r.Content()) != `{"a":2}` {
		t.Errorf("replaced message is %q", out)
	}
}

func TestConnectionFile(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"no JSON", `nonsense`, "not a JSON object"},
		{"curve", `{"curve_publickey": "x", "ip": "127.0.0.1"}`, "CurveZMQ"},
		{"transport", `{"transport": "udp"}`, `transport "udp" is not known`},
		{"port", `{"shell_port": 70000}`, "shell_port is 70000"},
		{"type", `{"key": 5}`, "key:"},
		{"ipc without path", `{"transport": "ipc"}`, "ip is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseConnection([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, c.says)
			}
		})
	}
}

func TestChildKeepsWhatWeDoNotKnow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kernel-1.json")
	if err := os.WriteFile(path, []byte(`{"ip":"127.0.0.1","key":"k","jupyter_session":"/n.ipynb","shell_port":1}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConnection(path)
	if err != nil {
		t.Fatal(err)
	}
	_, data, err := c.Child("/run/x/k")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got["jupyter_session"] != "/n.ipynb" || got["transport"] != "ipc" || got["ip"] != "/run/x/k" ||
		got["key"] != "k" {
		t.Errorf("child's file is %s", data)
	}
}

// FuzzParse: nothing crashes it, and what it parses is the frames it was given.
func FuzzParse(f *testing.F) {
	f.Add([]byte("id\x00<IDS|MSG>\x00sig\x00{}\x00{}\x00{}\x00{}\x00buffer"))
	f.Add([]byte("<IDS|MSG>\x00\x00{\"msg_id\":1}\x00{}\x00{}"))
	f.Add([]byte("\x00\x00\xff"))
	s, err := NewSigner("secret", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frames := bytes.Split(data, []byte{0})
		m, err := Parse(frames)
		if err != nil {
			return
		}
		_ = s.Check(m)
		_, _ = ParseHeader(m.Header())
		again := append([][]byte(nil), m.Routing()...)
		again = append(again, Delimiter, m.Signature(), m.Header(), m.Parent(), m.Metadata(), m.Content())
		again = append(again, m.Buffers()...)
		if !bytes.Equal(bytes.Join(again, []byte{0}), data) {
			t.Errorf("parts of %q are %q", data, again)
		}
	})
}

// FuzzConnection: a connection file never crashes the kernel.
func FuzzConnection(f *testing.F) {
	f.Add([]byte(`{"shell_port": 1, "ip": "127.0.0.1", "key": "k"}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, err := ParseConnection(data); err == nil {
			_, _, _ = c.Child("/x")
			c.Address(Shell)
		}
	})
}
