// Package client is the other side of the queue: who sends messages, waits for their results, and looks after dead letters.
// Begin with [Connect].
//
//	client.go    one connection, its calls and its end
//	send.go      messages with many confirms under way
//	consume.go   what is received, and how a consumer ends
//	revive.go    what is known of a dead letter, and how it is sent again
//
// A person waits for it: so there is one connection, where the daemon has two, and nothing reconnects.
//
// What a message says is package message, what comes back package event. A connection by itself is package wire.
package client
