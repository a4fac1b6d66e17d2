// Package policy says what messages may ask for: see [Policy]. It decodes a message and looks at the command, and asks no
// engine. Begin with [Check].
//
// Two rules are elsewhere, because they need more than the message: internal/cmd/do_control.go keeps commands out of
// containers that no message of the queue made, and package message refuses the names and labels that are the daemon's.
package policy
