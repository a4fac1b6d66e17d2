// Package output cuts a container's output at the ends of lines: each piece is one or more whole lines. It counts the bytes of
// both streams, and keeps the last of them for the result. It holds the beginning of a line until its end has come. After a
// broken connection the container's log is read again: then it drops the bytes that it has seen before. Begin with [Output],
// whose Stdout and Stderr are written to.
//
// internal/cmd/container reads the bytes. The pieces go to the functions that NewOutput was given; who prints a piece makes single
// lines of it. live.go sends the output to the reply_to as it comes.
package output
