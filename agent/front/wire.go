package front

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/metaml/metaml/agent/front/jsonarray"
)

// Frames between us and a worker (docs/internals/protocols.md §7): a header of 16 bytes,
//
//	u32 size · u8 type · u8 flags · u16 count · u64 id
//
// and a body of size bytes, a multiple of 8.
const (
	frameHello = 1
	frameCall  = 2
	frameReply = 3
	frameMore  = 4
	frameQuit  = 5

	flagStacked = 1

	frameHeader = 16
	maxFrame    = 256 << 20 // bytes of a body
	maxCount    = 1<<16 - 1 // items of a frame
)

// The kinds of a call's items.
const (
	itemJSON   = 0
	itemBytes  = 1 // its content type and a zero byte come first
	itemFields = 2
	itemArray  = 3
	itemForm   = 4
	itemNamed  = 5 // JSON, with all parameters by name
)

// The kinds of a reply's items.
const (
	replyJSON      = 0
	replyBytes     = 1
	replyText      = 2
	replyArray     = 3
	replyError     = 4
	replyPartBytes = 5
	replyPartText  = 6
	replyPartLines = 7
	replyEnd       = 8
	replyPartEvent = 9

	replyHeaded = 0x80 // is added where a head follows the body
)

// isPart distinguishes the parts of a stream from what is an answer by itself.
func isPart(kind byte) bool {
	return kind >= replyPartBytes && kind <= replyPartLines || kind == replyPartEvent
}

// flagEvents of a call's item: the client accepts server-sent events.
const flagEvents = 1

// flagPath of a call's item: the parameters in the path follow it.
const flagPath = 2

func pad8(n int) int { return (n + 7) &^ 7 }

// appendHeader writes a frame's header.
func appendHeader(dst []byte, size int, kind, flags byte, count int, id uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	dst = append(dst, kind, flags, byte(count), byte(count>>8))
	return binary.LittleEndian.AppendUint64(dst, id)
}

// appendPadding fills up to a multiple of 8.
func appendPadding(dst []byte, n int) []byte {
	var zeros [8]byte
	return append(dst, zeros[:pad8(n)-n]...)
}

// itemPrefix is where the data of a call's item begins.
func itemPrefix(ndim int) int { return 8 + pad8(4*ndim) }

// putItemHeader writes an item's header and shape to the front of item, which has room for it.
func putItemHeader(item []byte, kind byte, shape []uint32, length int) {
	item[0], item[1], item[2], item[3] = kind, byte(len(shape)), 0, 0
	binary.LittleEndian.PutUint32(item[4:], uint32(length))
	for i, n := range shape {
		binary.LittleEndian.PutUint32(item[8+4*i:], n)
	}
	if len(shape)%2 == 1 {
		binary.LittleEndian.PutUint32(item[8+4*len(shape):], 0)
	}
}

// hello is what a worker says of itself when it was dialled.
type hello struct {
	V        int    `json:"v"`
	PID      int    `json:"pid"`
	Function string `json:"function"`
	Input    struct {
		Kind  string `json:"kind"` // "json", "array" or "bytes"
		Dtype string `json:"dtype"`
		NDim  *int   `json:"ndim"` // nil: any
		Name  string `json:"name"` // of the parameter, where there is one
	} `json:"input"`
	Batch      int             `json:"batch"`
	Concurrent int             `json:"concurrent"`
	OpenAPI    json.RawMessage `json:"openapi"`
	Example    json.RawMessage `json:"example"`

	array *jsonarray.Decoder // of the input; nil: JSON goes as it came
}

func readHello(r *frameReader) (*hello, error) {
	f, err := r.next()
	if err != nil {
		return nil, err
	}
	if f.kind != frameHello {
		return nil, fmt.Errorf("%w: a frame of type %d where a hello is due", errGarbage, f.kind)
	}
	var h hello
	if err := json.Unmarshal(f.body, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	if h.V != 1 || h.Batch < 0 || h.Concurrent < 0 {
		return nil, fmt.Errorf("%w: a hello of version %d, for batches of %d and %d calls at a time", errGarbage, h.V,
			h.Batch, h.Concurrent)
	}
	h.Batch, h.Concurrent = min(h.Batch, maxCount), max(h.Concurrent, 1)
	if h.Input.Kind == "array" {
		h.array = jsonarray.DecoderOf(h.Input.Dtype)
	}
	return &h, nil
}

// errGarbage is at the bottom of every error about a worker that does not keep to the protocol.
var errGarbage = errors.New("the worker does not keep to the protocol")

// wireFrame is a frame that was read. Its body is valid until the next one is read, unless owned.
type wireFrame struct {
	kind  byte
	flags byte
	count int
	id    uint64
	body  []byte
	owned bool // nobody else has the body
}

// frameReader reads a worker's frames.
type frameReader struct {
	r    *bufio.Reader
	skip int // of the last frame, which lies in r
}

func newFrameReader(r io.Reader) *frameReader { return &frameReader{r: bufio.NewReaderSize(r, 64<<10)} }

// next reads a frame. The error is io.EOF if the connection ended between two.
func (r *frameReader) next() (wireFrame, error) {
	if r.skip > 0 {
		_, _ = r.r.Discard(r.skip)
		r.skip = 0
	}
	head, err := r.r.Peek(frameHeader)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return wireFrame{}, err
	}
	size := int(binary.LittleEndian.Uint32(head))
	f := wireFrame{
		kind: head[4], flags: head[5], count: int(binary.LittleEndian.Uint16(head[6:])),
		id: binary.LittleEndian.Uint64(head[8:]),
	}
	if size > maxFrame || size%8 != 0 {
		return wireFrame{}, fmt.Errorf("%w: a frame of %d bytes", errGarbage, size)
	}
	if frameHeader+size <= r.r.Size() {
		whole, err := r.r.Peek(frameHeader + size)
		if err != nil {
			return wireFrame{}, unexpected(err)
		}
		f.body = whole[frameHeader:]
		r.skip = frameHeader + size
		return f, nil
	}
	_, _ = r.r.Discard(frameHeader)
	f.owned = true
	f.body = make([]byte, 0, min(size, 1<<20))
	for len(f.body) < size {
		// Grow with what arrives, not with what the header claims.
		chunk := min(size-len(f.body), max(len(f.body), 1<<20))
		f.body = append(f.body, make([]byte, chunk)...)
		if _, err := io.ReadFull(r.r, f.body[len(f.body)-chunk:]); err != nil {
			return wireFrame{}, unexpected(err)
		}
	}
	return f, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// replyItem is one answer in a reply.
type replyItem struct {
	status int
	kind   byte
	dtype  *jsonarray.Encoder // of an array
	shape  []uint32           // of an array; valid until the next item is read
	headed bool
	head   []byte // JSON: what the function says of the content type and the headers
	data   []byte
}

// replyItems reads the items of a reply, in order.
type replyItems struct {
	body    []byte
	left    int
	stacked bool
	row     replyItem // of a stacked reply
	shape   [jsonarray.MaxDims]uint32
}

func newReplyItems(f wireFrame) (*replyItems, error) {
	r := &replyItems{body: f.body, left: f.count, stacked: f.flags&flagStacked != 0}
	if f.count == 0 {
		return nil, fmt.Errorf("%w: a reply without items", errGarbage)
	}
	if r.stacked {
		length, err := r.head(&r.row)
		if err != nil {
			return nil, err
		}
		if r.row.kind != replyArray || len(r.body) != pad8(length*f.count) {
			return nil, fmt.Errorf("%w: a stacked reply of %d bytes for %d times %d", errGarbage, len(r.body), f.count,
				length)
		}
		r.row.data = r.body[:length]
	}
	return r, nil
}

// next reads an item.
func (r *replyItems) next(item *replyItem) error {
	r.left--
	if r.stacked {
		length := len(r.row.data)
		*item = r.row
		item.data = r.body[:length]
		r.body = r.body[length:]
		return nil
	}
	length, err := r.head(item)
	if err != nil {
		return err
	}
	if pad8(length) > len(r.body) {
		return fmt.Errorf("%w: an item of %d bytes in %d", errGarbage, length, len(r.body))
	}
	item.data = r.body[:length]
	r.body = r.body[pad8(length):]
	if item.headed {
		return item.splitHead()
	}
	return nil
}

// splitHead takes the head off an item's data: JSON, and its length in the last four bytes.
func (item *replyItem) splitHead() error {
	end := len(item.data) - 4
	if end < 0 || int(binary.LittleEndian.Uint32(item.data[end:])) > end {
		return fmt.Errorf("%w: a head that ends too soon", errGarbage)
	}
	start := end - int(binary.LittleEndian.Uint32(item.data[end:]))
	item.head, item.data = item.data[start:end], item.data[:start]
	return nil
}

// head reads what comes before an item's data.
func (r *replyItems) head(item *replyItem) (length int, err error) {
	if len(r.body) < 8 {
		return 0, fmt.Errorf("%w: an item that ends too soon", errGarbage)
	}
	item.status, item.kind = int(binary.LittleEndian.Uint16(r.body)), r.body[2]
	ndim, length := int(r.body[3]), int(binary.LittleEndian.Uint32(r.body[4:]))
	r.body = r.body[8:]
	item.dtype, item.shape, item.head = nil, nil, nil
	item.headed, item.kind = item.kind&replyHeaded != 0, item.kind&^replyHeaded
	if item.kind > replyPartEvent || item.headed && item.kind == replyArray || item.status < 200 || item.status > 599 {
		return 0, fmt.Errorf("%w: an item of kind %d with status %d", errGarbage, item.kind, item.status)
	}
	if item.kind != replyArray {
		if ndim != 0 {
			return 0, fmt.Errorf("%w: an item of kind %d with a shape", errGarbage, item.kind)
		}
		return length, nil
	}
	dims := pad8(4 * ndim)
	if ndim > jsonarray.MaxDims || len(r.body) < dims+8 {
		return 0, fmt.Errorf("%w: an array that ends too soon", errGarbage)
	}
	item.shape = r.shape[:ndim]
	size, lists := uint64(1), uint64(1) // an array without numbers has lists all the same
	for i := range item.shape {
		n := binary.LittleEndian.Uint32(r.body[4*i:])
		item.shape[i] = n
		size *= uint64(n)
		if lists *= uint64(max(n, 1)); lists > maxFrame {
			return 0, fmt.Errorf("%w: an array of more than %d numbers", errGarbage, maxFrame)
		}
	}
	name := r.body[dims : dims+8]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	item.dtype = jsonarray.EncoderOf(string(name))
	if item.dtype == nil {
		return 0, fmt.Errorf("%w: an array of %q", errGarbage, name)
	}
	if size*uint64(item.dtype.Size) != uint64(length) {
		return 0, fmt.Errorf("%w: %d bytes for %d numbers of %s", errGarbage, length, size, name)
	}
	r.body = r.body[dims+8:]
	return length, nil
}
