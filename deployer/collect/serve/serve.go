// Package serve is the monitor of a run as a server: deployer/collect over HTTP and WebSockets, on a folder.
//
// Read [Server.Serve] first, then stream.go, a reader's connection. It imports deployer/collect, and is linked into
// cmd/metaml-monitor alone.
package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/metaml/metaml/deployer/collect"
)

// The limits of a server.
const (
	maxConns   = 2000             // a connection costs about 10 KiB while nothing comes
	maxBatches = 16               // that are read at the same time, each with at most collect.MaxBatchSize
	maxReaders = 16               // each has buffers for a message, 0.6 MB at most
	readTime   = 5 * time.Second  // for one request
	idleTime   = 60 * time.Second // of a connection; pods send every collect.AskEvery at least
	closeTime  = 3 * time.Second  // for what is under way when the server ends
)

// Server answers pods and readers.
type Server struct {
	store   *collect.Store
	outputs Archives
	folders Folders
	token   [sha256.Size]byte
	batches chan []byte // buffers; their number bounds what is read at the same time
	readers chan struct{}
	heard   atomic.Int64 // when somebody with the token was here last, in Unix nanoseconds
	streams sync.WaitGroup
}

// errEnds is why streams end with their server.
var errEnds = errors.New("the monitor ends")

// New makes a server of what is in a store, and of the files that trials leave behind: those that they send, and those
// that lie in folders. Who comes needs the token.
func New(store *collect.Store, outputs Archives, folders Folders, token string) (*Server, error) {
	if token == "" {
		return nil, errors.New("serve a run: the token is empty")
	}
	s := &Server{
		store: store, outputs: outputs, folders: folders, token: sha256.Sum256([]byte(token)),
		batches: make(chan []byte, maxBatches), readers: make(chan struct{}, maxReaders),
	}
	for range maxBatches {
		s.batches <- nil // made when it is needed
	}
	s.heard.Store(time.Now().UnixNano())
	return s, nil
}

// Quiet is how long nobody with the token was here.
func (s *Server) Quiet() time.Duration {
	if len(s.readers) > 0 {
		return 0
	}
	return time.Since(time.Unix(0, s.heard.Load()))
}

// Serve answers what comes to a listener, until ctx is done; what is under way then has [closeTime] to end.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// A server does not end the connections that became WebSockets: they end with this context.
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(errEnds)
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTime,
		WriteTimeout:      3 * readTime, // from the end of the header on: a buffer, the body, the answer
		IdleTimeout:       idleTime,
		BaseContext:       func(net.Listener) context.Context { return base },
		MaxHeaderBytes:    8 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, maxConns)) }()
	var failed error
	select {
	case err := <-ended:
		failed = fmt.Errorf("serve a run: %w", err)
	case <-ctx.Done():
	}
	end(errEnds)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close() // the listener, which may be closed already
	}
	if failed == nil { // also where it had hardly begun: then the listener is still open
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = fmt.Errorf("serve a run: %w", err)
		}
	}
	s.streams.Wait() // each ends with its context, within the time that its last message may need
	return failed
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /v1/batch", s.guarded(s.batch))
	mux.HandleFunc("GET /v1/stream", s.guarded(s.stream))
	mux.HandleFunc("GET /v1/check", s.guarded(s.checkOutputs))
	mux.HandleFunc("GET /v1/outputs", s.guarded(s.listOutputs))
	mux.HandleFunc("PUT /v1/outputs/{trial}/{kind}", s.guarded(s.putOutput))
	mux.HandleFunc("GET /v1/outputs/{trial}/{kind}", s.guarded(s.getOutput))
	return mux
}

// guarded lets through who has the token.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		// Of sums, so that neither the content nor the length of the token shows in the time.
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], s.token[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, errors.New("this is not the token of the run"))
			return
		}
		s.heard.Store(time.Now().UnixNano())
		next(w, r)
	}
}

// batch takes what a pod sends.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > collect.MaxBatchSize {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("a batch has at most %d bytes", collect.MaxBatchSize))
		return
	}
	var buffer []byte
	select {
	case buffer = <-s.batches:
	case <-r.Context().Done():
		return
	case <-time.After(readTime):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, errors.New("too many pods send at the same time"))
		return
	}
	defer func() { s.batches <- buffer[:0] }()
	// A pod that vanished in the middle must not keep a buffer.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime)); err != nil {
		refuse(w, http.StatusInternalServerError, fmt.Errorf("bound the time of a request: %w", err))
		return
	}
	var err error
	if buffer, err = readAll(buffer, r.Body); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("read a batch: %w", err))
		return
	}
	b, err := collect.DecodeBatch(buffer)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer, err := s.store.Take(time.Now(), b)
	switch {
	case errors.Is(err, collect.ErrNotThatSource):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err)
	case len(answer.Refused) > 0:
		reply(w, http.StatusInsufficientStorage, "application/json", answer.Encode())
	default:
		reply(w, http.StatusOK, "application/json", answer.Encode())
	}
}

// firstBuffer is enough for what a pod sends when nothing is pending.
const firstBuffer = 8 << 10

// readAll reads into a buffer, which grows to [collect.MaxBatchSize] at most.
func readAll(buffer []byte, from io.Reader) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			larger := make([]byte, len(buffer), min(max(firstBuffer, 4*cap(buffer)), collect.MaxBatchSize+1))
			copy(larger, buffer)
			buffer = larger
		}
		n, err := from.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return buffer, err
		case len(buffer) > collect.MaxBatchSize:
			return buffer, fmt.Errorf("it has more than %d bytes", collect.MaxBatchSize)
		}
	}
}

// refuse answers with one sentence.
func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
}

// reply writes a whole answer. Its length is said, so that no chunks are made of it.
func reply(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked is gone, and asks again
}
