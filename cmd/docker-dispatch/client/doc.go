// Package client is the publisher's side of the queue: docker-dispatch run, send, check, dead, ps and hosts, with their options,
// messages and exit codes. It needs the broker only. The daemon is not here; how a message is sent and taken is in
// internal/amqpsrc/client.
//
// Begin at Run in client.go, which carries out a subcommand by its name. Those with a package of their own:
//
//	run/         docker run through a queue
//	dead/        dead letters: list, replay, drop
//	ps/          what the daemons of a queue do
//	hosts/       the hosts that share a queue: list, release
//	subcommand/  what all of them share: the process, the broker, signals
//
// send.go, check.go and policy.go are the others; message_files.go reads the messages of files.
package client
