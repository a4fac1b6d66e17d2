// Package amqpsrc takes messages from a RabbitMQ queue and hands them over as jobs.
//
// Start reading at Source: New, Run, Close. The rest, from the outside in:
//
//	source.go    Run (the loop over sessions, which reconnects) and Close; config.go: the Config of a Source
//	second.go    the Sources of the control queue and of the host's queues
//	host.go      what a Source has if several hosts share its queue; moves.go: whose original is acked
//	session.go   one session: consume, pause, hand over, linger; the goroutine that owns a channel
//	consume.go   starts and replaces the consumer: all consumers of a session together stay within the prefetch
//	unread.go    deliveries whose bodies were not read for lack of room
//	returned.go  warns of messages that the broker may soon drop
//	settle.go    one delivery: settled exactly once, on the session that received it
//	fence.go     when an ack can no longer be lost
//	awaited.go   since when a lost message could have been redelivered
//	quiet.go     whether the queue certainly has no message left
//	state.go     how the Source stands with the broker
//	desk.go      answers questions about the daemon's status, over a connection of its own; desk_answer.go: with what
//	depths.go    how many messages wait, as the broker says
//
// Which host has which job is package claims. What a job publishes is in package publish: results, output, dead letters, next attempts. A connection, with its limits and
// timeouts, is package wire. The side that sends messages and waits for results is package client.
//
// Four rules hold throughout.
//
// A session is one connection, one channel and their deliveries. When any part of it fails, the whole session
// is discarded, and the broker redelivers what was not acked. A delivery is never acked on another session:
// tags start again at 1 on each channel, so the ack would hit another message.
//
// One goroutine at a time makes the synchronous calls of a channel; the library mixes up the answers of two.
// Acks and publishes are not calls, and may come from any goroutine.
//
// No connection both consumes and publishes. A broker short of memory or disk stops reading from a connection that
// publishes, and acks must still get through. The control queue is consumed by a Source of its own, which has a
// third connection and shares the publisher. So are the queues of messages that other hosts forward. The desk does both on one connection: a question and its answer may be lost.
//
// Every wait can be ended: by a context, by the session's end, or by closing the socket. Only closing the
// socket gets the library out of a write.
package amqpsrc
