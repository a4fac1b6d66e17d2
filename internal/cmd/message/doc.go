// Package message says what a message means: its JSON becomes a command, which is plain data. It asks no engine and
// starts no goroutine. Begin with [Decode].
//
// Each command is one row of the table in decode.go, with its keys; the options that it takes from docker run are in
// run_options.go, and what their values look like is package flagval. What sets commands apart, such as whether one needs
// a slot, is in traits.go. [ParseRunLine] reads the arguments of docker run into the same commands.
//
// What a message may ask for is package policy; what an engine is asked for a command is internal/cmd.
package message
