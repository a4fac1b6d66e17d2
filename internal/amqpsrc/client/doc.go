// Package client is the publisher's side of the queue. It sends messages, waits for results, and looks after dead letters.
// Begin with [Connect].
//
//	client.go    one connection, its calls and its end
//	send.go      sends messages; many may be under way before the first is confirmed
//	consume.go   messages received, and how a consumer ends
//	ask.go       asks the daemons of a queue for their status
//	revive.go    what the headers of a dead letter tell, and how it is sent again
//
// A Client is one connection, which consumes and publishes. It does not reconnect: its caller connects again if that is
// of use, as docker-dispatch run does.
//
// Package message has the format of messages, package event that of results, package wire the connection.
package client
