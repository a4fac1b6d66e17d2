// Command docker-dispatch takes messages from a RabbitMQ queue and for each one drives a Docker
// Engine: runs containers, stops and removes them, and so on. This package is flags, wiring, signals and exit codes,
// and all text that a person reads; what a message means is package message's, and what becomes of it internal/cmd's.
//
//	main.go        the daemon: wiring, signals, exit codes. settings.go: its options; usage.go: what it prints of them
//	stdin.go       messages from standard input in place of a queue; messagefiles.go: messages in files
//	report.go      results and output on stdout; logger.go and statusline.go: what goes to stderr
//	ui.go          errors and hints as a person reads them; flagerror.go: those of options
//	subcommand.go  what the subcommands below share: their options, their connection, their interrupts
//	sendcmd.go     send
//	runcmd.go      run, which is docker run through a queue. runfollow.go: from the message to the result; runtake.go: what
//	               the daemon sends; runreply.go: how that is shown; runui.go: the terminal; runexit.go: the exit code
//	deadcmd.go     dead: deadlist.go, deadreplay.go, deaddrop.go; deadlook.go: a pass over the dead letters
//	checkcmd.go    check
package main
