// Package output makes lines of a container's output. It counts the bytes of both streams, and keeps the last of them for the
// result. It holds the beginning of a line until its end has come. After a broken connection the container's log is read
// again: then it drops the bytes that it has seen before. Begin with [Output], whose Stdout and Stderr are written to.
//
// internal/cmd reads the bytes. The lines go to the functions that NewOutput was given.
package output
