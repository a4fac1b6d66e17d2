// Package output makes lines of a container's output. It counts the bytes of both streams, and keeps their ends. It holds
// the beginning of a line until its end has come. If a log is read again, it drops the bytes that it has seen before. Begin
// with [Output].
//
// internal/cmd reads the bytes. The lines go to the functions that NewOutput was given.
package output
