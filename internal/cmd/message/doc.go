// Package message decodes a message: its JSON becomes a command, which is plain data. It asks no engine and starts no
// goroutine. Begin with [Decode].
//
// Each command has a row in the table of decode.go, with its keys. run.go has the options of run alone. run_options.go has
// the options of both run and create, and package flagval reads their values. run_request.go makes the engine's request of
// them. json.go and key.go read JSON. In runline.go, [ParseRunLine] reads the arguments of docker run by the same keys, and
// has the options without a key. runline_message.go makes a message of them.
//
// A new option is allowed unless package policy denies it: look there. A new command needs a row, its [Traits], and a case
// in internal/cmd/do.go.
package message
