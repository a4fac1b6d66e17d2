// Package output makes lines of what a container writes: it counts the bytes of both streams, keeps their ends, holds
// the beginning of a line until its end has come, and drops what was seen before where a log is read again. Begin with
// [Output].
//
// Where the bytes come from is internal/cmd, where the lines go is whoever made the Output.
package output
