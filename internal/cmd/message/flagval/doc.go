// Package flagval reads the values of docker run's options, a file for each kind: sizes, ports, mounts, networks and so
// on, with the docker CLI's own syntax. A parser returns what the engine's API takes for the value, or an error that says
// what was expected. Begin with the kind in question; what several need is in text.go.
//
// Which option has which kind of value is said in package message.
package flagval
