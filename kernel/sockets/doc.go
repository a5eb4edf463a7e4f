// Package sockets has the kernel's ZeroMQ sockets: ROUTER, XPUB and REP for front
// ends ([Listen]), DEALER and SUB towards the wrapped kernel ([Dial]).
//
// The stock server sockets of go-zeromq/zmq4 stop at one silent peer, block all for
// one that does not read, and die on a malformed one. So only that library's
// handshake is used ([zmq4.Open]); a connection here has one reader and one writer
// goroutine, a bounded queue, and deadlines, and its end is nobody else's. Frames are
// read and written by frame.go, because an announced size must not be believed.
// Read [Peer] first.
//
// What gives way when a queue is full: the connection. No frame of a message is ever
// left out silently; a peer that holds more than [MaxQueue] bytes unread, or takes
// nothing for [WriteTimeout], is closed, counted ([Server.Stats]) and reconnects.
// Only messages sent as progress (our own display updates) are dropped before that.
//
// Over TCP anybody can connect. Peers that have shown by no signed message that they are
// front ends get no replies, hold little together ([Strangers]), and go first
// (identity.go). Who has signed the caller says: [Peer.Signed], [Server.Known].
//
// The protocol is ZMTP 3.0 (rfc.zeromq.org/spec/23). It imports zmq4 and the standard
// library, nothing of ours.
package sockets
