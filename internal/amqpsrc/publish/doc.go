// Package publish stores messages at the broker: results, streams of output, dead letters and next attempts. Begin with
// [Publisher]: New, Start, Close.
//
//	publish.go     the connection that publishes with confirms, and reconnects; line.go: one such connection
//	keep.go        tries until a message is stored
//	deadletter.go  the copy of a message that becomes a dead letter. verdict in internal/cmd/settle.go decides that it does; the
//	               result's Reason says why, and internal/cmd/container/outcome.go sets most of them
//	again.go       the queues in which messages wait for their next attempt
//	forward.go     the copy of a message that goes to the host which has its job, and the note that follows the copy
//	reply.go       results, to reply_to and to the results queue
//	stream.go      output, to reply_to while the job runs
//	refusals.go    which reply_to did not store our messages: the next ones are not waited for as long
//	direct.go      direct reply-tos: some brokers end the connection if one is gone
//	user.go        the user of a message, kept in its copies
//	state.go       how the Publisher stands with the broker
//
// Everything that a job publishes goes over this one connection, except to a direct reply-to that may have ended a
// connection before. All methods may be called from any goroutine.
package publish
