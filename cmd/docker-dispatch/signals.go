package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// signalsOf takes the signals that the command of that name heeds; "" or an option: the daemon.
func signalsOf(name string) <-chan os.Signal {
	signals := make(chan os.Signal)
	if ownCommands()[name] == nil { // those have nothing to tidy: a signal to stop ends them at once
		receive(signals, 2, syscall.SIGTERM, os.Interrupt)
		if !signal.Ignored(syscall.SIGHUP) { // ignored after nohup: then the program must outlive the terminal
			receive(signals, 1, syscall.SIGHUP)
		}
	}
	if slices.Contains(commandNames(), name) {
		signal.Ignore(statusSignal) // only the daemon answers it: a subcommand would take it for a stop
	} else {
		receive(signals, 1, statusSignal)
	}
	signal.Ignore(syscall.SIGPIPE) // else a closed stdout would kill the program: see out.gone
	return signals
}

// receive passes signals on to c. Each call has room of its own for the signals to come: many of one kind do not displace
// those of another, such as the signal to stop.
func receive(c chan<- os.Signal, room int, signals ...os.Signal) {
	come := make(chan os.Signal, room)
	signal.Notify(come, signals...)
	go func() {
		for s := range come {
			c <- s
		}
	}()
}

// unlessHung passes signals on. If the program does not take one, it hangs, for example because its log is not read: then a
// signal to stop ends it.
func unlessHung(signals <-chan os.Signal) <-chan os.Signal {
	taken := make(chan os.Signal)
	go func() {
		for s := range signals {
			select {
			case taken <- s:
			case <-time.After(stuck):
				if s != statusSignal && s != syscall.SIGHUP {
					os.Exit(ui.ExitFailed)
				}
			}
		}
	}()
	return taken
}

// answers does what a signal asks for, and reports whether it was no signal to stop.
func (d *daemon) answers(sig os.Signal) bool {
	if sig == statusSignal {
		d.logStatus()
		return true
	}
	return d.reloads(sig)
}

// reloads reads the policy's file again if the signal asks for that, and reports whether it does. Without such a file the
// signal is a terminal's that has gone, and stops the daemon; but a service manager means a reload.
func (d *daemon) reloads(sig os.Signal) bool {
	switch {
	case sig != syscall.SIGHUP, d.policyFile == "" && d.manager == nil:
		return false
	case d.policyFile == "":
		d.log.Info("nothing to read again: there is no --policy")
		return true
	}
	if d.ready.Load() {
		d.manager.Reloading()
		defer func() { d.manager.Ready(statusLine(d.numbers())) }()
	}
	if err := d.loadPolicy(); err != nil {
		d.policyFault.Store(new(err.Error()))
		d.log.Error("policy not read again; the one of before stays in force", "file", d.policyFile, "error", err)
	} else {
		d.policyFault.Store(nil)
		d.log.Info("policy read again; it holds for messages that come from now on", "file", d.policyFile)
	}
	return true
}
