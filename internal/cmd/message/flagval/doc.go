// Package flagval reads the values of docker run's options, in the docker CLI's own syntax. Each kind of value has a file:
// sizes, ports, mounts, networks and so on. A parser returns the value for the engine's API, or an error that says what was
// expected. Begin with the kind in question. text.go has what several kinds need.
//
// Package message says which option has which kind of value.
package flagval
