package wire

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // the connection file names the digest
	"crypto/sha1" //nolint:gosec // the connection file names the digest
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// Signer makes and checks signatures with the key of a connection file. It is safe
// for concurrent use. With an empty key nothing is signed and everything passes, as
// the protocol says.
type Signer struct {
	signed bool
	pool   sync.Pool
}

// NewSigner takes key and signature_scheme of a connection file.
func NewSigner(key, scheme string) (*Signer, error) {
	if key == "" {
		return &Signer{}, nil
	}
	if scheme == "" {
		scheme = "hmac-sha256"
	}
	var digest func() hash.Hash
	switch strings.TrimPrefix(scheme, "hmac-") {
	case "sha256":
		digest = sha256.New
	case "sha512":
		digest = sha512.New
	case "sha384":
		digest = sha512.New384
	case "sha224":
		digest = sha256.New224
	case "sha1":
		digest = sha1.New
	case "md5":
		digest = md5.New
	default:
		return nil, fmt.Errorf("signature_scheme %q in the connection file is not known; use hmac-sha256", scheme)
	}
	k := []byte(key)
	return &Signer{signed: true, pool: sync.Pool{New: func() any { return hmac.New(digest, k) }}}, nil
}

func (s *Signer) sum(header, parent, metadata, content []byte) []byte {
	h := s.pool.Get().(hash.Hash)
	h.Reset()
	h.Write(header)
	h.Write(parent)
	h.Write(metadata)
	h.Write(content)
	sum := h.Sum(make([]byte, 0, 64))
	s.pool.Put(h)
	out := make([]byte, hex.EncodedLen(len(sum)))
	hex.Encode(out, sum)
	return out
}

// Sign gives the signature frame for the four signed frames.
func (s *Signer) Sign(header, parent, metadata, content []byte) []byte {
	if !s.signed {
		return []byte{}
	}
	return s.sum(header, parent, metadata, content)
}

// Check compares a message's signature in constant time.
func (s *Signer) Check(m Message) error {
	if !s.signed {
		return nil
	}
	if !hmac.Equal(s.sum(m.Header(), m.Parent(), m.Metadata(), m.Content()), m.Signature()) {
		return ErrSignature
	}
	return nil
}
