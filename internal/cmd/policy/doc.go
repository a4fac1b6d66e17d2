// Package policy decides what messages may ask for: see [Policy]. It decodes a message, checks the command, and asks no
// engine. Begin with [Check].
//
// Two rules are elsewhere. internal/cmd/do_control.go lets no command look into a container that no message of the queue
// made: that needs the engine. Package message refuses the daemon's own names and labels.
package policy
