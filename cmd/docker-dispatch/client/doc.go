// Package client is the publisher's side of the queue: docker-dispatch run, send, check, dead and ps, with their options,
// messages and exit codes. It needs the broker only. The daemon is not here; how a message is sent and taken is in
// internal/amqpsrc/client.
//
// Begin at Run in subcommand.go, which has what all of them share: options, connection, interrupts.
//
//	run.go     run, which is docker run through a queue. run_follow.go: from the message to the result; run_take.go: the
//	           daemon's events; run_answer.go: output in order; run_ui.go: errors and help; run_exit.go: the exit code
//	send.go    send. message_files.go: messages in files
//	dead.go    dead. dead_list.go, dead_replay.go, dead_drop.go; dead_look.go: a pass over the dead letters
//	check.go   check
//	ps.go      ps. ps_ask.go: questions and answers; ps_view.go, ps_failed.go: what is shown; ps_screen.go: for --watch
package client
