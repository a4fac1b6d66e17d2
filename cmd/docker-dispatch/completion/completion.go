// Package completion completes command lines in shells. A shell's script asks the program, by its command completion words,
// what may stand where the cursor is. So the scripts hold no list of options, and what they show is what this program takes.
//
// Begin at Words.
package completion

import (
	"embed"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

//go:embed docker-dispatch.*
var scripts embed.FS

// Shells are those that have a script.
var Shells = []string{"bash", "fish", "zsh"}

// Script returns the script that one of the Shells reads.
func Script(shell string) string {
	text, err := scripts.ReadFile("docker-dispatch." + shell)
	if err != nil {
		panic(err) // not one of Shells
	}
	return string(text)
}

// A Command says what may stand on a command line after the name of the command.
type Command struct {
	Flags  []message.Flag
	Verbs  []string            // the values of the first argument; nil: it is as the others
	Only   map[string][]string // the flags that not all Verbs have, by name, with the Verbs that do
	Files  bool                // the arguments are files
	Prefix bool                // the first argument ends the options: what follows is another command's
}

// A Program is the commands by name. The command without a name may have none on its command line.
type Program map[string]Command
