package front

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	typeForm = "multipart/form-data"

	// mostParts bounds the parts of a form, each of which costs more than its bytes.
	mostParts = 1000
)

// plain are the encodings of a part that leave it as it is.
var plain = []string{"", "binary", "8bit", "7bit"}

// formPart is a part of a form, as the worker is sent it.
type formPart struct {
	name string
	size int
	file bool
}

func (p formPart) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.name, p.size, p.file}) }

// form makes an item of the parts of a multipart/form-data body: the bytes of them all, a list of their names and sizes
// in JSON, and the length of that list.
func (f *front) form(c *call, q *request) error {
	_, parameters, err := mime.ParseMediaType(q.contentType)
	if err != nil || parameters["boundary"] == "" {
		return &problem{status: 400, text: "the content type " + typeForm + " names no boundary"}
	}
	// the reader takes that for a form without parts
	if !bytes.Contains(q.text(), []byte("--"+parameters["boundary"])) {
		return brokenForm()
	}
	item := newBuffer(&f.budget)
	err = f.formParts(item, multipart.NewReader(bytes.NewReader(q.text()), parameters["boundary"]), q.size)
	if err != nil {
		item.release()
		return err
	}
	c.item, c.kind, c.prefix = item, itemForm, 8
	return nil
}

func (f *front) formParts(item *buffer, reader *multipart.Reader, size int) error {
	if !item.grow(8 + pad8(size)) {
		return f.noRoom()
	}
	item.b = append(item.b[:0], make([]byte, 8)...)
	parts := []formPart{}
	for {
		// Not NextPart, which decodes quoted-printable: what a file is encoded in is not taken out silently.
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return brokenForm()
		}
		if len(parts) == mostParts {
			return &problem{status: 413, text: fmt.Sprintf("the form has more than %d parts", mostParts)}
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); !slices.Contains(plain,
			strings.ToLower(encoding)) {
			return &problem{
				status: 415, text: fmt.Sprintf("a part of the form is encoded as %.40q, and must be sent as it is",
					encoding),
			}
		}
		field := formPart{name: part.FormName()}
		if field.name == "" {
			return &problem{status: 400, text: "a part of the form has no name"}
		}
		start := len(item.b)
		if err := readPart(item, part, 8+size); err != nil {
			return brokenForm()
		}
		field.size = len(item.b) - start
		var empty bool
		if field.file, empty = isFile(part); empty && field.size == 0 {
			continue // what a browser sends where no file was chosen
		}
		if !field.file && !utf8.Valid(item.b[start:]) {
			return &problem{status: 400, text: fmt.Sprintf("the field %.80q is not UTF-8", field.name)}
		}
		parts = append(parts, field)
	}
	head, err := json.Marshal(parts)
	if err != nil {
		return brokenForm()
	}
	if !item.grow(pad8(len(item.b) + len(head) + 4)) {
		return f.noRoom()
	}
	item.b = append(item.b, head...)
	item.b = binary.LittleEndian.AppendUint32(item.b, uint32(len(head)))
	length := len(item.b) - 8
	putItemHeader(item.b, itemForm, nil, length)
	item.b = appendPadding(item.b, length)
	return nil
}

func brokenForm() *problem {
	return &problem{status: 400, text: "the form ends too soon, or its parts are broken"}
}

// readPart appends the bytes of a part. There is room for as many as the whole body has, which is more than all parts
// have.
func readPart(item *buffer, part io.Reader, room int) error {
	for {
		n, err := part.Read(item.b[len(item.b):room])
		item.b = item.b[:len(item.b)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// isFile distinguishes a file from the text of a field: it has a name (empty: nothing was chosen), or a type that is no
// text.
func isFile(part *multipart.Part) (file, empty bool) {
	_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if name, has := disposition["filename"]; err == nil && has {
		return true, name == ""
	}
	kind := mediaType(part.Header.Get("Content-Type"))
	return kind != "" && !isJSON(kind) && !strings.HasPrefix(kind, "text/"), false
}
