// Package policy decides what messages may ask for. It decodes a message, reads the command, and asks no engine.
//
// A message is taken apart into what it asks for, one value of one key each (asks.go and asks_*.go). The built-in policy allows a value or
// not. A policy's file names keys, and says which values are allowed in place of that (rules.go, pattern.go). It sets ceilings
// and defaults too (ceiling.go), for all messages or for one user's. file.go reads it, explain.go prints what it amounts to.
// Begin with [Check].
//
// Rules that need more than the message are elsewhere. internal/cmd/do_control.go lets no command reach a container
// that no message of the queue made. internal/cmd/looks.go looks at volumes and networks that exist already.
// internal/cmd/task.go knows which commands the control queue takes. internal/amqpsrc refuses a reply_to that is a queue of
// the daemon's. Package message refuses the daemon's own names and labels.
package policy
