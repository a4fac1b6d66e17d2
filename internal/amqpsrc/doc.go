// Package amqpsrc takes messages from a RabbitMQ queue and hands them over as jobs.
//
// Start reading at Source: New, Run, Close. The rest, from the outside in:
//
//	source.go      Run (the loop over sessions, which reconnects) and Close; config.go: what it needs
//	session.go     one session: consume, pause, hand over, linger; the goroutine that owns a channel
//	unread.go      messages for whose bodies there is no room
//	settle.go      one delivery: its verdict, exactly once, on the session that brought it
//	fence.go       when an ack can no longer be lost
//	awaited.go     since when a message that was lost could have come again
//	quiet.go       whether the queue surely does not have it any more
//	publish.go     the second connection, which publishes with confirms; line.go: as long as it lives
//	keep.go        what must be stored before a message is acked
//	reply.go       results, to reply_to and to the results queue
//	stream.go      output, to reply_to as it comes
//	lane.go        the channels that all streams share
//	refusals.go    which reply_to stores nothing
//	direct.go      direct reply-tos, and those over which the broker ends a connection
//	again.go       the queues in which messages wait to be tried again
//	deadletter.go  the copy of a message that becomes a dead letter; why it does is decided in internal/cmd/outcome.go
//
// A connection, with all that keeps it in bounds, is package wire.
//
// The other side of the queue, who sends messages and waits for results, is package client.
//
// Four rules hold it together.
//
// A session is one connection, one channel and their deliveries. When anything about it fails it is
// thrown away whole, and the broker delivers again what was not acked. A delivery is never acked on
// another session: tags start again at 1 on each channel, so the ack would hit another message.
//
// One goroutine makes the synchronous calls of a channel; the library mixes up the answers of two.
// Acks and publishes are no calls, and come from any goroutine.
//
// Two connections, because the broker stops reading from one that publishes when it runs short of
// memory or disk, and acks must still get through then.
//
// Every wait can be ended: by a context, by the session's end, and at the bottom by closing the
// socket, which is the only thing that gets the library out of a write.
package amqpsrc
