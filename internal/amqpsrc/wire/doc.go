// Package wire is one connection to a RabbitMQ broker, and what keeps it in bounds: addresses and their checks, the dial
// and the watchdog, channels that publish, the kinds of errors, what is logged of an outage, and the filter that keeps
// frames of strangers away from the AMQP library. Begin with [Dialer].
//
//	link.go        a connection, from its opening to its end
//	dial.go        dials, logs in, and finds out why that fails; socket.go: what goes over it
//	declare.go     makes queues, and finds out what they are
//	outlet.go      a channel in confirm mode
//	filter.go      header tables that the library would choke on
//	budget.go      how much of large messages may be held at a time
//	headers.go     headers of strangers and our own; how much room they take
//	url.go errors.go report.go backoff.go   addresses, error kinds, what is logged, delays
//
// What is consumed, and when it is acked, is package amqpsrc.
package wire
