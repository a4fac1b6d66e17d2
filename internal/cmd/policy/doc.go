// Package policy decides what messages may ask for: see [Policy]. It decodes a message, checks the command, and asks no
// engine. Begin with [Check].
//
// Rules that need more than the message are elsewhere. internal/cmd/do_control.go lets no command look into a container
// that no message of the queue made. internal/cmd/task.go knows which commands the control queue takes. internal/amqpsrc
// refuses a reply_to that is a queue of the daemon's. Package message refuses the daemon's own names and labels.
package policy
