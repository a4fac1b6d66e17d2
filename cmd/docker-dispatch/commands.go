package main

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// ownCommands returns the commands that are neither the daemon nor a subcommand of package client. Each gets the arguments
// after its name, and returns the exit code.
func ownCommands() map[string]func(args []string, stdout, stderr io.Writer) int {
	return map[string]func(args []string, stdout, stderr io.Writer) int{"help": showHelp, "health": health, "completion": complete}
}

// commandNames returns the names of all commands, sorted.
func commandNames() []string {
	return slices.Sorted(slices.Values(slices.AppendSeq(client.Names(), maps.Keys(ownCommands()))))
}

// allOptions returns the options of the daemon and of each subcommand.
func allOptions() []*ui.Options {
	all := []*ui.Options{newSettings().options}
	for _, name := range client.Names() {
		all = append(all, client.Options(name))
	}
	return all
}

// variablesOf returns the lookup in an environment. The first of equal names counts, as with os.Getenv.
func variablesOf(environ []string) (getenv func(string) string) {
	return func(name string) string {
		for _, e := range environ {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
