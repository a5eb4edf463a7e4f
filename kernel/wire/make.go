package wire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// Maker makes messages of our own, signed, under one session id.
type Maker struct {
	signer  *Signer
	session string
	count   atomic.Int64
}

// NewMaker makes a session of its own, as ipykernel has one.
func NewMaker(signer *Signer) *Maker {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &Maker{signer: signer, session: hex.EncodeToString(b[:])}
}

// Session is the id in the headers of our messages.
func (k *Maker) Session() string { return k.session }

// Make builds the frames of a message; routing may be nil, parent is the JSON of a
// header or nil, metadata and content are marshalled (json.RawMessage passes).
func (k *Maker) Make(routing [][]byte, msgType string, parent []byte, metadata, content any) ([][]byte, error) {
	header, err := json.Marshal(map[string]any{
		"msg_id":   k.session + "_" + strconv.FormatInt(k.count.Add(1), 10),
		"session":  k.session,
		"username": "metaml",
		"date":     time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		"msg_type": msgType,
		"version":  "5.3",
	})
	if err != nil {
		return nil, fmt.Errorf("make %s header: %w", msgType, err)
	}
	if len(parent) == 0 {
		parent = []byte("{}")
	}
	if metadata == nil {
		metadata = struct{}{}
	}
	meta, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("make %s metadata: %w", msgType, err)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("make %s content: %w", msgType, err)
	}
	frames := make([][]byte, 0, len(routing)+6)
	frames = append(frames, routing...)
	return append(frames, Delimiter, k.signer.Sign(header, parent, meta, body), header, parent, meta, body), nil
}

// Replace gives m with another content, signed again; header, parent, metadata and
// buffers stay byte for byte.
func (k *Maker) Replace(m Message, content any) ([][]byte, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("replace content: %w", err)
	}
	frames := append([][]byte(nil), m.Frames...)
	frames[m.Start+5] = body
	frames[m.Start+1] = k.signer.Sign(m.Header(), m.Parent(), m.Metadata(), body)
	return frames, nil
}
