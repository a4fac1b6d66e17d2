// Package message decodes a message: its JSON becomes a command, which is plain data. It asks no engine and starts no
// goroutine. Begin with [Decode].
//
// Each command has a row in the table of decode.go, with its keys; on_container.go has the commands on one container. run.go
// has the options of run alone, run_options.go those of both run and create. Package flagval reads their values.
// run_request.go completes the engine's request where options depend on each other. json.go, split.go and key.go read JSON.
// In runline.go, [ParseRunLine] reads the arguments of docker run; it also has those options of docker run that have no key
// in a message. runline_message.go makes a message of the arguments.
//
// A new option of docker run is one row in containerOptions of run_options.go: its key, and what it sets in the engine's
// request. The flag is the key in lower case with dashes. Package policy must say what the option asks for, in asks.go, or
// list it as harmless: TestEachKeyIsJudged fails until it does.
//
// A new command needs:
//   - here: a type with its keys, its [Traits] in traits.go, and a row in decode.go
//   - in package policy: a case in asks.go, and one in ceiling.go if its container may run on; or a line in harmless of
//     policy_test.go
//   - in internal/cmd/container: a case in do.go and its method; a call that is new also in the interface Docker, and its test's fake
//   - in internal/dockerapi: the call, a file an endpoint
//   - in cmd/docker-dispatch/help/messages.md: its keys, which a test compares
package message
