// Package message decodes a message: its JSON becomes a command, which is plain data. It asks no engine and starts no
// goroutine. Begin with [Decode].
//
// Each command has a row in the table of decode.go, with its keys; on_container.go has the commands on one container. run.go
// has the options of run alone, run_options.go those of both run and create. Package flagval reads their values.
// run_request.go completes the engine's request where options depend on each other. json.go, split.go and key.go read JSON.
// In runline.go, [ParseRunLine] reads the arguments of docker run; it also has those options of docker run that have no key
// in a message. runline_message.go makes a message of the arguments.
//
// A new option of docker run needs:
//   - here: a row in containerOptions of run_options.go, or in runOptions of run.go if create does not have it: its key, and what it
//     sets in the engine's request. Its flag is the key in lower case with dashes, unless called gives others
//   - in internal/dockerapi: the field in container_config.go; a line in container_needs.go if older engines ignore it
//   - in package policy: what it asks for in asks.go, its name in rules.go and a row in deniedOptions of policy_test.go; or, if it is
//     harmless, its name in harmless there
//   - in cmd/docker-dispatch: a row in parity_test.go. UPDATE_MANUAL=1 writes the manual's tables
//
// A flag without a key in messages goes in clientFlags or refusedFlags of runline.go.
//
// A new command needs:
//   - here: a type with its keys, its [Traits] in traits.go, and a row in decode.go
//   - in package policy: a line in harmless of policy_test.go; a case in asks.go if it asks for what may be denied, and one in
//     ceiling.go if its container may run on
//   - in internal/cmd/container: a case in do.go and its method; a new call also in the interface Docker of carrier.go, and in the
//     fake of internal/cmd/fake_test.go
//   - in internal/dockerapi: a row in calls.go, and the call in a file of its own
//   - in cmd/docker-dispatch/help/messages.md: its keys, which a test compares
package message
