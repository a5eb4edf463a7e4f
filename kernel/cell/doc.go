// Package cell keeps a %%train, %%serve or %metaml attach cell in progress: it runs
// `metaml` for it, shows its bundles under the cell, and holds the cell's reply and
// idle until the run ends. docs/internals/protocols.md §1 is the conversation.
//
// Read [Gate] first: it is the order of the main shell. A [Conversation] is one
// connection from the metaml module (server.go accepts them) and one `metaml`
// process (process.go).
//
// What is held and for how long: an execute_request of the main shell that may start
// a run closes the gate, so that the requests behind it wait here, where they can
// still be aborted, and not in ipykernel, where they would be executed. It opens when
// the request is answered and no run holds it.
//
// It imports kernel/wire and internal/talk; the bridge gives it a [Front].
package cell
