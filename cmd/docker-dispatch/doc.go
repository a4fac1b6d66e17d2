// Command docker-dispatch takes messages from a RabbitMQ queue. For each message it drives a Docker Engine: it runs
// containers, stops and removes them, and so on. This package holds flags, wiring, signals, exit codes, and all text for
// users. Package message defines the messages; internal/cmd carries them out.
//
//	main.go        the daemon: wiring, signals, exit codes. settings.go: its options; usage.go: their help
//	stdin.go       messages from standard input instead of a queue; messagefiles.go: messages in files
//	report.go      results and output on stdout; logger.go and statusline.go: logs and progress on stderr
//	ui.go          errors and hints for users; flagerror.go: errors of options
//	subcommand.go  shared by the subcommands below: options, connection, interrupts
//	sendcmd.go     send
//	runcmd.go      run, which is docker run through a queue. runfollow.go: from the message to the result; runtake.go: the
//	               daemon's events; runreply.go: output in order; runui.go: errors and help; runexit.go: the exit code
//	deadcmd.go     dead: deadlist.go, deadreplay.go, deaddrop.go; deadlook.go: a pass over the dead letters
//	checkcmd.go    check
package main
