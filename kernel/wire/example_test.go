package wire_test

import (
	"fmt"

	"github.com/metaml/metaml/kernel/wire"
)

func ExampleParse() {
	signer, err := wire.NewSigner("secret", "hmac-sha256")
	if err != nil {
		fmt.Println(err)
		return
	}
	header, content := []byte(`{"msg_id":"1","msg_type":"execute_request"}`), []byte(`{"code":"1 + 1"}`)
	empty := []byte("{}")
	frames := [][]byte{
		[]byte("client"), wire.Delimiter, signer.Sign(header, empty, empty, content), header, empty, empty, content,
	}

	m, err := wire.Parse(frames)
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := wire.ParseHeader(m.Header())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s from %s: %s\n", h.Type, m.Routing()[0], m.Content())
	fmt.Println("signature:", signer.Check(m))

	frames[6] = []byte(`{"code":"2 + 2"}`)
	fmt.Println("changed:", signer.Check(m))
	// Output:
	// execute_request from client: {"code":"1 + 1"}
	// signature: <nil>
	// changed: wrong signature
}
