// Package ui is how the program speaks to a person: errors with their hints and exit codes, text that is safe for a
// terminal, tables, the line that shows progress, sizes, and options with their variables. The texts are with their callers,
// except the hints that the daemon and the subcommands share.
//
// Begin at Fail in errors.go: each process ends with it, or with ExitClean.
package ui
