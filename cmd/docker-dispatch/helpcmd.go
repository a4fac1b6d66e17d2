package main

import (
	"fmt"
	"io"
	"os"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/help"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
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
		return ui.Fail(stderr, ui.UsageError("help takes one topic", topicsHint))
	case topic == "", topic == "-h", topic == "--help":
		fmt.Fprint(stdout, help.Index())
	case topic == "--man":
		fmt.Fprint(stdout, help.Man(ui.VersionString()))
	case help.Has(topic):
		fmt.Fprint(stdout, help.Text(topic))
	case ownCommands()[topic] != nil:
		return ownCommands()[topic]([]string{"-h"}, stdout, stderr)
	case client.Has(topic):
		return client.Run(topic, []string{"-h"}, os.Getenv, nil, stdout, stderr, nil)
	default:
		var names []string
		for _, t := range help.Topics() {
			names = append(names, t.Name)
		}
		names = append(names, commandNames()...)
		text := fmt.Sprintf("the manual has no page %q", topic)
		if near := flagval.Nearest(topic, names); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		return ui.Fail(stderr, ui.UsageError(text, topicsHint))
	}
	return ui.ExitClean
}

const topicsHint = "docker-dispatch help lists the topics"
