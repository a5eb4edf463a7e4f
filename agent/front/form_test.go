package front

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// formOf writes a form of parts: Content-Disposition (after "form-data; "), Content-Type or "", content.
func formOf(t *testing.T, parts ...[3]string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, one := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + one[0]}}
		if one[1] != "" {
			header.Set("Content-Type", one[1])
		}
		part, err := w.CreatePart(header)
		check(t, err)
		_, err = part.Write([]byte(one[2]))
		check(t, err)
	}
	check(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func TestAFormWithFiles(t *testing.T) { //nolint:tparallel // the cases share a server with one worker
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "upload", run.FrontRevision{Timeout: 20 * time.Second})
	const image = "\xff\xd8\xff\xe0\r\n--\x00"
	for _, test := range []struct {
		name   string
		parts  [][3]string
		status int
		want   string
	}{
		{
			"a file",
			[][3]string{{`name="image"; filename="cat.jpg"`, "image/jpeg", image}},
			200,
			`{"size":9,"last":0,"top":3,"more":0}`,
		},
		{
			"a file with an encoded name, and a field",
			[][3]string{{`name="image"; filename*=UTF-8''c%C3%A4t.jpg`, "", image}, {`name="top"`, "", "7"}},
			200,
			`{"size":9,"last":0,"top":7,"more":0}`,
		},
		{
			"a field with a content type",
			[][3]string{{`name="image"`, "image/jpeg", image}},
			200, `{"size":9,"last":0,"top":3,"more":0}`,
		},
		{
			"several files of one name",
			[][3]string{
				{`name="image"; filename="a"`, "", "a"},
				{`name="more"; filename="b"`, "", "b"},
				{`name="more"; filename="c"`, "", "c"},
			},
			200, `{"size":1,"last":97,"top":3,"more":2}`,
		},
		{
			"an empty file",
			[][3]string{{`name="image"; filename="a"`, "", ""}},
			200, `{"size":0,"last":-1,"top":3,"more":0}`,
		},
		// A browser's field where no file was chosen.
		{
			"no file chosen for an optional parameter",
			[][3]string{
				{`name="image"; filename="a"`, "", "a"}, {`name="more"; filename=""`, "application/octet-stream", ""},
			},
			200, `{"size":1,"last":97,"top":3,"more":0}`,
		},
		{
			"no file chosen for a required parameter",
			[][3]string{{`name="image"; filename=""`, "application/octet-stream", ""}},
			422, `image is missing`,
		},
		{
			"a name that is no parameter",
			[][3]string{{`name="file"; filename="a"`, "", "a"}},
			422,
			`{"field":"file","error":"is no parameter of upload"}`,
		},
		{
			"a field of another type",
			[][3]string{{`name="image"; filename="a"`, "", "a"}, {`name="top"`, "", "x"}},
			422,
			`top must be a whole number`,
		},
		{
			"a field that is not UTF-8",
			[][3]string{{`name="image"`, "", "\xff"}},
			400, `the field \"image\" is not UTF-8`,
		},
		{"a part without a name", [][3]string{{`filename="a"`, "", "a"}}, 400, `a part of the form has no name`},
		{"no parts", nil, 422, "image is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			contentType, body := formOf(t, test.parts...)
			if got := r.ask("POST", "/predict", contentType, body); got.status != test.status ||
				!strings.Contains(got.body, test.want) {
				t.Errorf("got %v, want %d %s", got, test.status, test.want)
			}
		})
	}
	contentType, body := formOf(t, [3]string{`name="image"; filename="a"`, "", "abc"})
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"cut off", contentType, body[:len(body)-6], 400, "the form ends too soon"},
		{"empty", contentType, "", 400, "the form ends too soon"},
		{"JSON", contentType, `{"image": "YWJj"}`, 400, "the form ends too soon"},
		{"no boundary", "multipart/form-data", body, 400, "names no boundary"},
		{"an empty boundary", "Multipart/Form-Data; boundary=", body, 400, "names no boundary"},
		{
			"quoted-printable",
			contentType, strings.Replace(body, "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
				1), 415, "must be sent as it is",
		},
		{
			"binary",
			contentType, strings.Replace(body, "\r\n\r\n", "\r\nContent-Transfer-Encoding: binary\r\n\r\n", 1), 200,
			`{"size":3`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := r.ask("POST", "/predict", test.contentType, test.body); got.status != test.status ||
				!strings.Contains(got.body, test.want) {
				t.Errorf("got %v, want %d %s", got, test.status, test.want)
			}
		})
	}
	var many [][3]string
	for i := range mostParts + 1 {
		many = append(many, [3]string{fmt.Sprintf("name=a%d", i), "", ""})
	}
	contentType, body = formOf(t, many...)
	if got := r.ask("POST", "/predict", contentType, body); got.status != 413 {
		t.Errorf("%d parts: %v", len(many), got)
	}
}

// TestAFormForAFunctionOfBytes: it gets the file, never the form's own bytes.
func TestAFormForAFunctionOfBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "raw", run.FrontRevision{Timeout: 20 * time.Second})
	contentType, body := formOf(t, [3]string{`name="image"; filename="cat.jpg"`, "image/jpeg", "\xff\xd8"})
	if got := r.ask("POST", "/predict", contentType, body); got.status != 200 || got.body != "\xd8\xff" {
		t.Errorf("got %v", got)
	}
	if got := r.ask("POST", "/predict", "application/json", `{"image": "YWI="}`); got.status != 200 ||
		got.body != "ba" {
		t.Errorf("by its name: %v", got)
	}
	contentType, body = formOf(t, [3]string{`name="file"; filename="cat.jpg"`, "image/jpeg", "\xff\xd8"})
	if got := r.ask("POST", "/predict", contentType, body); got.status != 422 ||
		!strings.Contains(got.body, "file is not expected") {
		t.Errorf("by another name: %v", got)
	}
}
