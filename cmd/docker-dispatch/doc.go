// Command docker-dispatch takes messages from a RabbitMQ queue. For each message it drives a Docker Engine: it runs
// containers, stops and removes them, and so on. This package is the daemon's process: options, wiring, signals, output.
// Package message defines the messages; internal/cmd carries them out.
//
//	main.go      wiring, signals. settings.go: options; usage.go: their help; logger.go: the log on stderr
//	stdin.go     messages from standard input instead of a queue
//	report.go    results and output on stdout
//	helpcmd.go   docker-dispatch help
//	client/      run, send, check, dead and ps
//	ui/          errors, hints and exit codes, and what a terminal shows
//	help/        the manual
package main
