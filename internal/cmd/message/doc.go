// Package message decodes a message: its JSON becomes a command, which is plain data. It asks no engine and starts no
// goroutine. Begin with [Decode].
//
// Each command has a row in the table of decode.go, with its keys. run.go has the options of run alone. run_options.go has
// the options of both run and create, and package flagval reads their values. run_request.go makes the engine's request of
// them. json.go, split.go and key.go read JSON. In runline.go, [ParseRunLine] reads the arguments of docker run by the same
// keys, and has the options without a key. runline_message.go makes a message of them.
//
// A new option is allowed unless package policy denies it: TestEachKeyIsJudged asks for a decision.
//
// A new command needs:
//   - here: a type with its keys, its [Traits] in traits.go, and a row in decode.go; on_container.go has those for one container
//   - in package policy: a case in check, if the command can hand over the host
//   - in internal/cmd: a case in do.go and its method; a call that is new also in the interface Docker, and its test's fake
//   - in internal/dockerapi: the call, a file an endpoint
//   - in cmd/docker-dispatch/help/messages.md: its keys, which a test compares
package message
