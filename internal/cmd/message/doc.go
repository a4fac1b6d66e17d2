// Package message says what a message means: its JSON becomes a command, which is plain data. It asks no engine and
// starts no goroutine. Begin with [Decode].
//
// Each command has a row in the table of decode.go, with its keys. run.go has the options of run alone, run_options.go
// those that create has too, and package flagval reads their values; run_request.go makes the engine's request of them.
// json.go and key.go read JSON. [ParseRunLine] in runline.go reads the arguments of docker run into the same commands, and
// has the options that are no keys; runline_message.go makes a message of them.
//
// A new option is allowed until package policy denies it: look there. A new command needs its row, its [Traits], and a
// case in internal/cmd/do.go.
package message
