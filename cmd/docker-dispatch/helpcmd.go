package main

import (
	"fmt"
	"io"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/help"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// showHelp is docker-dispatch help [TOPIC]: a page of the manual, or the options of a subcommand that has no page. It
// returns the exit code.
func showHelp(args []string, stdout, stderr io.Writer) int {
	topic := ""
	if len(args) > 0 {
		topic = args[0]
	}
	switch {
	case len(args) > 1:
		return fail(stderr, usageError("help takes one topic", topicsHint))
	case topic == "", topic == "-h", topic == "--help":
		fmt.Fprint(stdout, help.Index())
	case topic == "--man":
		fmt.Fprint(stdout, help.Man(versionString()))
	case help.Has(topic):
		fmt.Fprint(stdout, help.Text(topic))
	case subcommands[topic] != nil:
		return subcommands[topic](&invocation{name: topic, args: []string{"-h"}, stdout: stdout, stderr: stderr})
	default:
		var names []string
		for _, t := range help.Topics() {
			names = append(names, t.Name)
		}
		for name := range subcommands {
			names = append(names, name)
		}
		if near := flagval.Nearest(topic, names); near != "" {
			return fail(stderr, usageError(fmt.Sprintf("the manual has no page %q; did you mean %q?", topic, near), topicsHint))
		}
		return fail(stderr, usageError(fmt.Sprintf("the manual has no page %q", topic), topicsHint))
	}
	return exitClean
}

const topicsHint = "docker-dispatch help lists the topics"
