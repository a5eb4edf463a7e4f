package front

import (
	"bytes"
	"errors"
	"strings"

	"github.com/valyala/fasthttp"
)

// What fasthttp takes and RFC 9112 does not: a line that ends with LF alone, HTTP/9.9, a transfer coding beside a
// length, a field's name that is no token, control characters behind the size of a chunk, and so on. A proxy in front
// of the server may see other requests in such bytes than the server does. So each connection's bytes are read along,
// before fasthttp gets them, and cut off where they are wrong: what came before is answered, then the fault is, and
// the connection ends.

// position is what the next byte of a connection belongs to.
type position int

const (
	atRequest  position = iota // the line of a request, or an empty one before it
	atFields                   // a line of its header
	atBody                     // a body, or the data of a chunk
	atChunk                    // the line with a chunk's size
	atChunkEnd                 // the line end behind its data
	atTrailer                  // a line of the trailer
	atUnwanted                 // a body that is longer than one may be, and is not read
)

const (
	// chunkLine bounds the line with a chunk's size.
	chunkLine = 4 << 10
	// chunkExcess bounds what the lines of a body's chunks may have beside what is needed.
	chunkExcess = 16 << 10
	// wanted is how much of a body fasthttp reads before it calls the handler.
	wanted = 8 << 10
)

// wrong is what is wrong with the bytes of a connection.
func wrong(status int, text string) *problem {
	return &problem{status: status, text: text, close: true, unread: true}
}

var errUnwanted = errors.New("the body is not read")

// strict reads along with what a client sends.
type strict struct {
	limit   int // of a body
	at      position
	part    []byte // of a line that has not ended yet
	long    int    // bytes of that line, kept or not
	left    int    // bytes until the end of the data
	excess  int    // of the lines of chunks
	length  int    // as the header says; -1: it does not
	chunked bool
	wrong   *problem
	silent  bool // fasthttp has seen nothing of the request yet
}

// check reads bytes that have come and gives how many of them may be read. What makes it fewer is in s.wrong, or in
// s.at.
func (s *strict) check(p []byte) int {
	for i := 0; i < len(p); {
		switch s.at {
		case atUnwanted:
			return i
		case atBody:
			n := min(s.left, len(p)-i)
			i += n
			if s.left -= n; s.left > 0 {
				continue
			}
			s.at = atRequest
			if s.chunked {
				s.at = atChunkEnd
			}
			continue
		}
		s.silent = s.at == atRequest
		end := bytes.IndexByte(p[i:], '\n')
		if end < 0 {
			if s.wrong = s.begun(p[i:]); s.wrong != nil {
				return i
			}
			return len(p)
		}
		line := p[i : i+end]
		if s.long > 0 {
			s.part = append(s.part, line...)
			line = s.part
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			s.wrong = s.line(line[:n-1])
		} else {
			s.wrong = wrong(400, "the request is not valid HTTP: a line ends without CR")
		}
		if s.wrong != nil {
			return i
		}
		s.part, s.long = s.part[:0], 0
		i += end + 1
	}
	return len(p)
}

// instead gives what is read in place of what must not be: first a byte, since fasthttp leaves who sent nothing
// without an answer, then the fault.
func (s *strict) instead(p []byte) (int, error) {
	switch {
	case s.wrong == nil:
		if s.left == 0 {
			return 0, errUnwanted
		}
		n := min(len(p), s.left)
		clear(p[:n])
		s.left -= n
		return n, nil
	case s.silent:
		s.silent = false
		p[0] = '?'
		return 1, nil
	}
	return 0, s.wrong
}

// begun takes the beginning of a line.
func (s *strict) begun(p []byte) *problem {
	if s.long == 0 && s.at == atRequest && !token[p[0]] && p[0] != '\r' {
		return errMethod() // a TLS client would wait for an answer
	}
	if s.at == atChunkEnd && s.long+len(p) > 1 {
		return errChunks()
	}
	if s.long += len(p); s.long > chunkLine && s.at == atChunk {
		return errChunks()
	}
	if s.long <= headerSize { // fasthttp refuses a longer one
		s.part = append(s.part, p...)
	}
	return nil
}

func errMethod() *problem {
	return wrong(400, "the request is not valid HTTP: it begins with no method")
}

func errChunks() *problem {
	return wrong(400, "the request is not valid HTTP: the chunks of its body are broken")
}

func (s *strict) line(line []byte) *problem {
	switch s.at {
	case atRequest:
		if len(line) == 0 {
			return nil // as RFC 9112, section 2.2, wants it
		}
		s.at, s.length, s.chunked, s.excess = atFields, -1, false, 0
		return requestLine(line)
	case atFields:
		if len(line) == 0 {
			return s.header()
		}
		return s.field(line)
	case atTrailer:
		if len(line) == 0 {
			s.at = atRequest
			return nil
		}
		_, _, f := split(line)
		return f
	case atChunk:
		return s.chunk(line)
	}
	if len(line) > 0 {
		return errChunks()
	}
	s.at = atChunk
	return nil
}

// requestLine checks what fasthttp does not: that takes every version, and a fragment.
func requestLine(line []byte) *problem {
	if !token[line[0]] {
		return errMethod()
	}
	target, version := line, []byte(nil)
	if i := bytes.LastIndexByte(line, ' '); i >= 0 {
		target, version = line[:i], line[i+1:]
	}
	if string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		digit := func(i int) bool { return version[i] >= '0' && version[i] <= '9' }
		if len(version) != 8 || string(version[:5]) != "HTTP/" || !digit(5) || version[6] != '.' || !digit(7) {
			return wrong(400, "the request is not valid HTTP: its first line names no version")
		}
		if version[5] != '1' {
			return wrong(505, "this server speaks HTTP/1.1 and HTTP/1.0, not "+string(version))
		}
	}
	if bytes.IndexByte(target, '#') >= 0 {
		return wrong(400, "the request is not valid HTTP: its target has a fragment")
	}
	return nil
}

// split takes a field's line apart.
func split(line []byte) (name, value []byte, f *problem) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, wrong(400, "the request is not valid HTTP: a line of its header begins with a blank")
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, wrong(400, "the request is not valid HTTP: a line of its header has no name")
	}
	for _, c := range line[:colon] {
		if !token[c] {
			return nil, nil, wrong(400, "the request is not valid HTTP: the name of a header field is not one")
		}
	}
	return line[:colon], bytes.Trim(line[colon+1:], " \t"), nil
}

// field notes what says how long the body is.
func (s *strict) field(line []byte) *problem {
	name, value, f := split(line)
	if f != nil {
		return f
	}
	switch len(name) {
	case len("Content-Length"):
		if !strings.EqualFold(string(name), "Content-Length") {
			return nil
		}
		n := 0
		for _, c := range value {
			if c < '0' || c > '9' {
				return wrong(400, "the request is not valid HTTP: its Content-Length is no number")
			}
			if n = 10*n + int(c-'0'); n > 1<<53 {
				return wrong(413, tooLong(s.limit))
			}
		}
		if len(value) == 0 || s.length >= 0 {
			return wrong(400, "the request is not valid HTTP: it has not one Content-Length")
		}
		s.length = n
	case len("Transfer-Encoding"):
		if !strings.EqualFold(string(name), "Transfer-Encoding") {
			return nil
		}
		if f := coding(value); f != nil {
			return f
		}
		if s.chunked {
			return wrong(400, "the request is not valid HTTP: its body is chunked twice")
		}
		s.chunked = true
	default:
		return nil
	}
	if s.chunked && s.length >= 0 {
		return wrong(400, "the request is not valid HTTP: it has a Content-Length and a Transfer-Encoding")
	}
	return nil
}

// coding refuses every transfer coding but chunked: where that is not the last one nobody knows where the body ends.
func coding(value []byte) *problem {
	if strings.EqualFold(string(value), "chunked") {
		return nil
	}
	names := strings.Split(string(value), ",")
	for i, name := range names {
		if chunked := strings.EqualFold(strings.Trim(name, " \t"), "chunked"); chunked != (i == len(names)-1) {
			return wrong(400,
				"the request is not valid HTTP: its Transfer-Encoding does not end with chunked, or has it twice")
		}
	}
	return wrong(501, "this server knows no transfer coding but chunked")
}

// header takes in that a header has ended.
func (s *strict) header() *problem {
	switch {
	case s.chunked:
		s.at = atChunk
	case s.length > s.limit:
		s.at, s.left = atUnwanted, wanted
	case s.length > 0:
		s.at, s.left = atBody, s.length
	default:
		s.at = atRequest
	}
	return nil
}

// chunk reads the line with a chunk's size.
func (s *strict) chunk(line []byte) *problem {
	n, digits := 0, 0
	for ; digits < len(line); digits++ {
		d := strings.IndexByte("0123456789abcdef", line[digits]|0x20)
		if d < 0 || line[digits] < '0' {
			break
		}
		if digits == 15 {
			return errChunks()
		}
		n = n<<4 | d
	}
	for _, c := range line[digits:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errChunks()
		}
	}
	// A small chunk may have some bytes of an extension, as many as a large one has none.
	if s.excess = max(0, s.excess+len(line)-16-2*n); digits == 0 || len(line) > chunkLine || s.excess > chunkExcess {
		return errChunks()
	}
	if s.at, s.left = atBody, n; n == 0 {
		s.at = atTrailer
	}
	return nil
}

// token says which bytes a token of RFC 9110, section 5.6.2, is made of.
var token = func() (is [256]bool) {
	for c := range is {
		is[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		is[c] = true
	}
	return is
}()

// faultOf gives what is wrong with the bytes of a request's connection, or nil.
func faultOf(ctx *fasthttp.RequestCtx) *problem {
	if c, ok := ctx.Conn().(*client); ok {
		return c.strict.wrong
	}
	return nil
}
