// Command docker-dispatch takes messages from a RabbitMQ queue. For each message it drives a Docker Engine: it runs
// containers, stops and removes them, and so on. This package is the daemon's process: options, wiring, signals, output.
// Package message defines the messages; internal/cmd carries them out.
//
//	main.go      wiring, signals. commands.go: what the first word may be; logger.go: the log on stderr
//	settings.go  the daemon's settings. options.go, usage.go: the options and their help; validate.go: what is refused;
//	             engine.go: the engine's client and its TLS; printconfig.go: --print-config
//	stdin.go     messages from standard input instead of a queue
//	report.go    results and output on stdout
//	helpcmd.go   docker-dispatch help. health.go, completioncmd.go: docker-dispatch health, completion
//	client/      run, send, check, dead and ps
//	ui/          errors, hints and exit codes, and what a terminal shows
//	help/        the manual
//	completion/  completion of command lines in shells
package main
