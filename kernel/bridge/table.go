package bridge

import "github.com/metaml/metaml/kernel/wire"

// Direction is where a message goes.
type Direction string

// The two directions.
const (
	ToChild    Direction = "to the wrapped kernel"
	ToFrontEnd Direction = "to front ends"
)

// Intercept is one row of what is not simply passed on.
type Intercept struct {
	Direction Direction
	Channel   wire.Channel
	// Type is the message type.
	Type string
	// What happens, and why, for docs/internals/kernel.md (a test compares them).
	What, Why string

	request func(b *Bridge, c *client, ch wire.Channel, m wire.Message, h wire.Header)
	reply   func(b *Bridge, c *client, ch wire.Channel, m wire.Message)
	publish func(b *Bridge, m wire.Message) bool // false: pass it on unchanged
}

// Table is everything that is intercepted. Every other message leaves byte for byte
// as it came.
var Table = []Intercept{
	{
		Direction: ToChild, Channel: wire.Shell, Type: "execute_request",
		What: "passed on, at once or after the cell in progress; a reading `%metaml` line goes past it while its " +
			"run is shown; answered `aborted` when that cell fails with stop_on_error",
		Why: "what waits behind a running sweep must still be abortable, as in ipykernel's own queue; whoever " +
			"comes to a run must be able to look at it",
		request: (*Bridge).shellRequest,
	},
	{
		Direction: ToChild, Channel: wire.Shell, Type: "*",
		What: "behind an execute_request that waits until the cell's run is bound, in order; else passed on at once",
		Why: "the main shell keeps its order; while a run is shown, completion, inspection, comms and history go " +
			"on",
		request: (*Bridge).shellRequest,
	},
	{
		Direction: ToChild, Channel: wire.Control, Type: "interrupt_request",
		What: "passed on; also stops the run under the held cell (a second one at once), or lets it go when the " +
			"front end that executed the cell has left",
		Why:     "the run is not in ipykernel's process; nobody stops what they cannot see",
		request: (*Bridge).interruptRequest,
	},
	{
		Direction: ToChild, Channel: wire.Control, Type: "shutdown_request",
		What:    "passed on; also detaches from every run",
		Why:     "a run survives the kernel",
		request: (*Bridge).shutdownRequest,
	},
	{
		Direction: ToChild, Channel: wire.Shell, Type: "shutdown_request",
		What:    "passed on; also detaches from every run",
		Why:     "older clients ask on shell",
		request: (*Bridge).shutdownRequest,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Shell, Type: "execute_reply",
		What: "kept back while the cell's run is shown; made up when an interrupt took it; an error reply with its " +
			"execution_count takes its place when the run fails",
		Why:   "the cell ends with its run",
		reply: (*Bridge).executeReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Shell, Type: "kernel_info_reply",
		What: "implementation is metaml, the banner has one more line, metaml names the held cells and their runs; " +
			"signed again",
		Why: "people see which kernel they talk to, a page that is loaded again which runs to show; language_info " +
			"stays, exporters need it",
		reply: (*Bridge).kernelInfoReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Control, Type: "kernel_info_reply",
		What:  "the same",
		Why:   "front ends ask there while a cell runs",
		reply: (*Bridge).kernelInfoReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Shell, Type: "connect_reply",
		What:  "has our ports; signed again",
		Why:   "ipykernel names its private sockets",
		reply: (*Bridge).connectReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Control, Type: "connect_reply",
		What:  "the same",
		Why:   "the same",
		reply: (*Bridge).connectReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Control, Type: "shutdown_reply",
		What:  "passed on; made up when ipykernel ended without it",
		Why:   "ipykernel may crash while it closes its sockets, and the reply goes with them",
		reply: (*Bridge).shutdownReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.Shell, Type: "shutdown_reply",
		What:  "the same",
		Why:   "older clients ask on shell",
		reply: (*Bridge).shutdownReply,
	},
	{
		Direction: ToFrontEnd, Channel: wire.IOPub, Type: "iopub_welcome",
		What:    "dropped; our socket welcomes each subscriber itself (JEP 65)",
		Why:     "ipykernel's answers our own subscription",
		publish: (*Bridge).childWelcome,
	},
	{
		Direction: ToFrontEnd, Channel: wire.IOPub, Type: "status",
		What: "the idle of a held cell is kept back with its reply; any other idle while a cell is held is " +
			"followed by a busy of that cell",
		Why:     "front ends take the latest status for the kernel's",
		publish: (*Bridge).childStatus,
	},
	{
		Direction: ToFrontEnd, Channel: wire.IOPub, Type: "execute_input",
		What: "passed on, its execution_count is noted; the first is followed by a stream on stderr when the " +
			"metaml module could not be loaded",
		Why:     "the front end must show it before %%train is not found",
		publish: (*Bridge).childInput,
	},
}

// index sorts the rows of one direction by channel and type.
func index(d Direction) map[wire.Channel]map[string]*Intercept {
	out := map[wire.Channel]map[string]*Intercept{}
	for i := range Table {
		row := &Table[i]
		if row.Direction != d {
			continue
		}
		if out[row.Channel] == nil {
			out[row.Channel] = map[string]*Intercept{}
		}
		out[row.Channel][row.Type] = row
	}
	return out
}
