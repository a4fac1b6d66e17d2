// Package dockerapi drives a Docker Engine through its REST API, over a unix
// socket, TCP or TLS. Podman's Docker-compatible service works too.
//
// Start with [ParseHost] and [New]:
//
//	host, err := dockerapi.ParseHost("unix:///var/run/docker.sock")
//	...
//	engine, err := dockerapi.New(host, dockerapi.Options{})
//	...
//	defer engine.Close()
//	err = engine.StopContainer(ctx, "web", dockerapi.StopOptions{})
//
// # Running a container
//
// The order matters, and is that of "docker run": an attach or wait after the
// start misses earlier events.
//
//	created, err := engine.CreateContainer(ctx, "job-1", config)
//	output, err := engine.AttachContainer(ctx, created.ID, streams) // the engine has our streams
//	exit, err := engine.WaitContainer(ctx, created.ID, dockerapi.NextExit) // and our waiter
//	err = engine.StartContainer(ctx, created.ID)
//	err = output()         // copies until the container has closed its streams
//	status, err := exit()  // its exit code
//	err = engine.RemoveContainer(ctx, created.ID, dockerapi.RemoveOptions{Volumes: true})
//
// One [Client.WatchExits] can stand in for the waits of many containers.
//
// [Client.AttachContainer], [Client.WaitContainer], [Client.WatchExits],
// [Client.ContainerLogs] and [Client.StartExec] have two phases. The method
// returns when the engine has accepted the request. The function that it returns
// blocks until the end. No goroutine runs in between, so nothing leaks: cancelling
// the context closes the connection, even if that function is never called. A
// clean end of an attach does not prove that the container has exited: the same
// happens if the engine is killed. Only the result of a wait or an inspect, or an
// exit that WatchExits tells, proves it.
//
// # Connections
//
// Short calls share a pool of kept connections. Each long call (attach, exec,
// wait, exits, logs, pull) has a connection of its own. Long calls, except the
// one for all exits, hold buffers only while there is data to read, so a thousand idle containers cost little. A call
// is made in the caller's own goroutine. No goroutine outlives its call.
// The Transport of net/http is not used: that has two goroutines for each
// connection, and passes each call through them. Nor is its reader of answers,
// which makes more of an answer than these calls need.
//
// # Versions
//
// Every request has an API version in its path. Without a version the engine
// would use its newest, and an upgrade would change its behaviour. The client
// negotiates the version before the first call, and again if another engine may
// have replaced the first.
//
// # Errors
//
// An unexpected answer of the engine is an [*Error]; no answer is
// [ErrUnreachable]. Callers tell kinds apart with errors.Is and the sentinels
// of this package, never by status or text. If the caller's context ends, the
// call returns the bare context error. If a limit of this package passes, the
// call returns ErrUnreachable.
package dockerapi
