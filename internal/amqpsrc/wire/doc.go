// Package wire manages one connection to a RabbitMQ broker: addresses, the dial and its watchdog, channels that publish,
// kinds of errors, and logs of outages. Its filter keeps publishers' frames away from the AMQP library if the library
// would fail on them. Begin with [Dialer].
//
//	link.go        a connection, from its opening to its end
//	dial.go        dials, logs in, and finds the cause of a failure; socket.go: reads and writes
//	declare.go     creates queues, and finds out their type and delivery limit
//	outlet.go      a channel in confirm mode, and what became of each message
//	filter.go      replaces header tables that the library cannot read, skips large bodies
//	budget.go      limits the memory for large messages
//	headers.go     headers of publishers and our own; their size
//	url.go errors.go report.go backoff.go   addresses, error kinds, logs of outages, delays
//
// Package amqpsrc consumes and acks, package publish publishes.
package wire
