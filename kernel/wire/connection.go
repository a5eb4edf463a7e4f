package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Channel is one of the five sockets of a kernel.
type Channel string

// The channels, in the order of jupyter_client's port_names.
const (
	Shell     Channel = "shell"
	IOPub     Channel = "iopub"
	Stdin     Channel = "stdin"
	Control   Channel = "control"
	Heartbeat Channel = "hb"
)

// Channels lists all five.
var Channels = [...]Channel{Shell, IOPub, Stdin, Control, Heartbeat}

// Connection is a Jupyter connection file.
type Connection struct {
	Transport string
	IP        string
	Key       string
	Scheme    string
	Ports     map[Channel]int
	// raw keeps what we do not know (kernel_name, jupyter_session …).
	raw map[string]json.RawMessage
}

// ReadConnection reads and checks the connection file at path.
func ReadConnection(path string) (*Connection, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read connection file: %w", err)
	}
	c, err := ParseConnection(data)
	if err != nil {
		return nil, fmt.Errorf("connection file %q: %w", path, err)
	}
	return c, nil
}

// ParseConnection reads the JSON of a connection file.
func ParseConnection(data []byte) (*Connection, error) {
	c := &Connection{Ports: map[Channel]int{}}
	if err := json.Unmarshal(data, &c.raw); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	for name := range c.raw {
		if strings.HasPrefix(name, "curve_") {
			return nil,
				errors.New("requires encrypted sockets (CurveZMQ), which this version of metaml-kernel does not " +
					"speak; " +
					"set transport_encryption to \"disabled\", or transport=ipc to stay off the network")
		}
	}
	text := func(name string, into *string) error {
		raw, ok := c.raw[name]
		if !ok {
			return nil
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	if err := errors.Join(text("transport", &c.Transport), text("ip", &c.IP), text("key", &c.Key),
		text("signature_scheme", &c.Scheme)); err != nil {
		return nil, err
	}
	if c.Transport == "" {
		c.Transport = "tcp"
	}
	if c.Transport != "tcp" && c.Transport != "ipc" {
		return nil, fmt.Errorf("transport %q is not known; use tcp or ipc", c.Transport)
	}
	if c.IP == "" && c.Transport == "tcp" {
		c.IP = "127.0.0.1"
	}
	if c.IP == "" {
		return nil, errors.New("ip is empty; with transport ipc it is the path that socket names begin with")
	}
	for _, ch := range Channels {
		var port int
		if raw, ok := c.raw[string(ch)+"_port"]; ok {
			if err := json.Unmarshal(raw, &port); err != nil {
				return nil, fmt.Errorf("%s_port: %w", ch, err)
			}
		}
		if port < 0 || port > 65535 {
			return nil, fmt.Errorf("%s_port is %d; a port is between 0 and 65535", ch, port)
		}
		c.Ports[ch] = port
	}
	return c, nil
}

// Address gives network and address of a channel, as net.Listen wants them.
func (c *Connection) Address(ch Channel) (network, address string) {
	port := strconv.Itoa(c.Ports[ch])
	if c.Transport == "ipc" {
		return "unix", c.IP + "-" + port
	}
	ip := c.IP
	if ip == "*" {
		ip = ""
	}
	return "tcp", net.JoinHostPort(ip, port)
}

// Child is the connection file of the wrapped kernel: the same key and all unknown
// fields, over ipc sockets whose paths begin with prefix.
func (c *Connection) Child(prefix string) (*Connection, []byte, error) {
	child := &Connection{
		Transport: "ipc", IP: prefix, Key: c.Key, Scheme: c.Scheme,
		Ports: map[Channel]int{}, raw: map[string]json.RawMessage{},
	}
	out := map[string]any{}
	for name, raw := range c.raw {
		out[name] = raw
		child.raw[name] = raw
	}
	for i, ch := range Channels {
		child.Ports[ch] = i + 1
		out[string(ch)+"_port"] = i + 1
	}
	out["transport"], out["ip"] = "ipc", prefix
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("write the wrapped kernel's connection file: %w", err)
	}
	return child, data, nil
}
