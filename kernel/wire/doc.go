// Package wire knows what a Jupyter message looks like on a ZeroMQ socket, as
// frames, and nothing of sockets. It follows "Messaging in Jupyter" 5.5, section
// "The Wire Protocol" (jupyter_client, docs/messaging.rst).
//
//	[identity …]      routing frames, none or more; on iopub: the topic
//	<IDS|MSG>         the delimiter
//	signature         hex HMAC of the next four frames, "" when the key is empty
//	header            JSON {msg_id, session, username, date, msg_type, version, subshell_id?}
//	parent_header     JSON, the header of the request that caused the message, or {}
//	metadata          JSON
//	content           JSON
//	[buffer …]        raw bytes, not signed
//
// Read [Parse] first. A parsed [Message] points into the frames it was made of and
// keeps them; what is forwarded is those frames, never a re-encoding, so that bytes
// we do not understand (wrong UTF-8, unknown fields) survive.
//
// It imports only the standard library.
package wire
