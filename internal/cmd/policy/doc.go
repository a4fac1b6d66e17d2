// Package policy decides what messages may ask for. It decodes a message, reads the command, and asks no engine.
//
// asks.go and asks_*.go list what a message asks for: keys, each with one value, and why the built-in policy denies it, if it does.
// policy.go judges each of them. The built-in policy allows a value or not. For the keys that a policy's file names, the file's
// values are allowed instead: rules.go has these keys, pattern.go compares values. A file sets ceilings and defaults too
// (ceiling.go), for all messages or for one user's. file.go reads it, explain.go prints the policy that results. Begin with [Check].
//
// Rules that need more than the message are elsewhere. internal/cmd/by_job.go lets no command reach a container
// that no message of the queue made. internal/cmd/container/create.go looks at volumes and networks that exist already.
// internal/cmd/task.go refuses what the control queue does not take (Control in message/traits.go). session.job in
// internal/amqpsrc/settle.go refuses a reply_to that is a queue of the daemon's. Package message refuses the daemon's own names and
// labels, package secrets a secret that is not there, and package hosts a placement if there is one host.
package policy
