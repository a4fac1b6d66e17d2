// Package flagval reads the values of docker run's options, in the docker CLI's own syntax. Values of one kind share a file:
// sizes, limits, ports, mounts, rights and so on. A parser returns the value for the engine's API, or an error that says what was
// expected. Begin with the kind in question. text.go has what several kinds need.
//
// Package message says which option has which kind of value.
package flagval
