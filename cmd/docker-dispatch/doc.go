// Command docker-dispatch takes messages from a RabbitMQ queue. For each message it drives a Docker Engine: it runs
// containers, stops and removes them, and so on. This package is the daemon's process: options, wiring, signals, output.
// Package message defines the messages; internal/cmd carries them out.
//
//	main.go      wiring. commands.go: what the first word may be; logger.go: the log on stderr
//	settings.go  the daemon's settings. options.go, usage.txt: the options and their help; validate.go: what is refused;
//	             engine.go: the engine's client and its TLS; printconfig.go: --print-config
//	stdin.go     messages from standard input instead of a queue
//	report.go    results and output on stdout
//	status.go    what the daemon is doing, also in the log; listen.go: for --listen; service.go: for systemd; journal.go: log lines
//	             for systemd's journal. engine_calls.go counts calls; disk.go looks at the engine's disk; stuck_writer.go finds out that
//	             nothing reads the log
//	signals.go   what each signal means
//	helpcmd.go   docker-dispatch help. health.go, completioncmd.go: docker-dispatch health, completion
//	client/      run, send, check, dead and ps, those with much in packages of their own
//	web/         health, metrics and the page of --listen
//	systemd/     the protocol by which systemd is told how the daemon is
//	ui/          errors, hints and exit codes, and what a terminal shows
//	help/        the manual
//	completion/  completion of command lines in shells
package main
