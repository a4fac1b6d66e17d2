package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/completion"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/help"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

//go:embed completion.txt
var completionUsage string

// complete runs the command completion and returns the exit code. The scripts call it with words, and the words of the
// command line up to the cursor.
func complete(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) > 0 && args[0] == "words":
		found, path := commandLines().Words(args[1:])
		if path != "" {
			found = append(found, ":"+path)
		}
		for _, word := range found {
			fmt.Fprintln(stdout, word)
		}
	case len(args) == 1 && slices.Contains(completion.Shells, args[0]):
		fmt.Fprint(stdout, completion.Script(args[0]))
	case len(args) == 1 && (args[0] == "-h" || args[0] == "--help"):
		fmt.Fprint(stdout, completionUsage)
	default:
		return ui.Fail(stderr, ui.UsageError("expected: docker-dispatch completion "+strings.Join(completion.Shells, "|"), "docker-dispatch completion -h says more"))
	}
	return ui.ExitClean
}

// commandLines returns what each command takes.
func commandLines() completion.Program {
	topics := commandNames()
	for _, t := range help.Topics() {
		topics = append(topics, t.Name)
	}
	of := func(o *ui.Options) completion.Command {
		return completion.Command{Flags: o.Flags(), Verbs: o.Verbs, Only: o.Only, Files: o.Files}
	}
	p := completion.Program{
		"":           of(newSettings().options),
		"help":       {Verbs: topics},
		"health":     {Flags: []message.Flag{{Name: "print-config", Bool: true}}},
		"completion": {Verbs: completion.Shells},
	}
	for _, name := range client.Names() {
		p[name] = of(client.Options(name))
	}
	run := p["run"]
	run.Flags, run.Prefix = append(run.Flags, message.RunFlags()...), true
	p["run"] = run
	return p
}
