package main

import (
	_ "embed"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// usage is the answer to -h.
//
//go:embed usage.txt
var usage string

// The command line asks for one of these, and for nothing else.
var (
	errVersion  = errors.New("version")
	errAPICalls = errors.New("API calls")
)

// asks reports whether the command line asks for help or the like, and not for a daemon.
func asks(err error) bool {
	return errors.Is(err, ui.ErrHelp) || errors.Is(err, errVersion) || errors.Is(err, errAPICalls)
}

// newSettings returns the defaults, and the options that replace them.
func newSettings() *settings {
	s := &settings{
		concurrency: 16, ahead: 4, logFormat: "text", format: "text", capture: 64 << 10,
		drain: 10 * time.Second, sweepAfter: 24 * time.Hour, pull: "missing", maxMessage: 1 << 20,
		options: ui.NewOptions("docker-dispatch"),
	}
	o := s.options
	o.StringVar(&s.queue, "q", "", "")
	o.StringVar(&s.queue, "queue", "", "")
	o.ChoiceVar(&s.declare, "declare", "quorum", "classic")
	o.IntVar(&s.concurrency, "c", s.concurrency, "")
	o.IntVar(&s.concurrency, "concurrency", s.concurrency, "")
	o.IntVar(&s.ahead, "ahead", s.ahead, "")
	o.BoolVar(&s.verbose, "v", false, "")
	o.BoolVar(&s.verbose, "verbose", false, "")
	o.ChoiceVar(&s.logFormat, "log-format", "text", "json")
	o.ChoiceVar(&s.format, "format", "text", "json")
	o.BoolVar(&s.raw, "raw", false, "")
	o.Var((*ui.Size)(&s.capture), "capture", "")
	o.StringVar(&s.deadLetter, "dead-letter", "", "")
	o.StringVar(&s.results, "results", "", "")
	o.StringVar(&s.control, "control", "", "")
	o.DurationVar(&s.drain, "drain", s.drain, "")
	o.DurationVar(&s.sweepAfter, "sweep-after", s.sweepAfter, "")
	o.ChoiceVar(&s.pull, "pull", message.PullPolicies...)
	o.DurationVar(&s.timeout, "timeout", 0, "")
	o.Var((*ui.Size)(&s.maxMessage), "max-message", "")
	o.StringVar(&s.policyFile, "policy", "", "FILE")
	o.StringVar(&s.secrets, "secrets", "", "DIR")
	o.StringVar(&s.listenAddr, "listen", "", "")
	o.Var((*ui.LargeSize)(&s.minFree), "min-free", "")
	o.StringVar(&s.hostName, "host", "", "")
	o.Var(&s.hostLabels, "host-label", "")
	o.BoolVar(&s.removeStale, "remove-stale", false, "")
	o.StringVar(&s.passwordFile, "amqp-password-file", "", "FILE")
	o.BoolVar(&s.tlsVerify, "tlsverify", false, "")
	o.StringVar(&s.tlsCA, "tlscacert", "", "FILE")
	o.StringVar(&s.tlsCert, "tlscert", "", "FILE")
	o.StringVar(&s.tlsKey, "tlskey", "", "FILE")
	o.BoolVar(&s.apiCalls, "api-calls", false, "")
	o.BoolVar(&s.version, "version", false, "")
	o.BoolVar(&s.printConfig, "print-config", false, "")

	o.Variables("secrets", "DOCKER_DISPATCH_SECRETS", "CREDENTIALS_DIRECTORY")
	o.Variables("tlsverify", "DOCKER_DISPATCH_TLSVERIFY", "DOCKER_TLS_VERIFY")
	o.CommandLineOnly("api-calls", "version", "print-config")
	o.Files = true // the path of the engine's socket
	return s
}
