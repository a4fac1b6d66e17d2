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
// The order matters, and is the one of "docker run": what is attached or
// awaited after the start misses what happened before it.
//
//	created, err := engine.CreateContainer(ctx, "job-1", config)
//	output, err := engine.AttachContainer(ctx, created.ID, streams) // the engine has our streams
//	exit, err := engine.WaitContainer(ctx, created.ID, dockerapi.NextExit) // and our waiter
//	err = engine.StartContainer(ctx, created.ID)
//	err = output()         // copies until the container has closed its streams
//	status, err := exit()  // its exit code
//	err = engine.RemoveContainer(ctx, created.ID, dockerapi.RemoveOptions{Volumes: true})
//
// [Client.AttachContainer], [Client.WaitContainer], [Client.ContainerLogs] and
// [Client.StartExec] have two phases: they return when the engine has accepted
// the request, and the function they return blocks for the end. Nothing runs in between, so
// there is nothing to leak: cancelling the context closes the connection,
// whether or not that function is ever called. An attach that ends cleanly is
// not proof that the container has ended (a killed engine ends it in the same
// way); only a wait result or an inspect is.
//
// # Connections
//
// Short calls share a pool of kept connections. Long ones (attach, exec, wait,
// logs, pull) each have a bare connection of their own, and hold buffers only while
// there is something to read, so that a thousand idle containers cost little.
// No goroutine outlives the call that started it, but for the pool's own.
//
// # Versions
//
// Every request names an API version in its path, because an engine takes a
// request without one as its newest and so changes behaviour when upgraded.
// It is negotiated before the first call, and again whenever the engine may
// have been replaced by another.
//
// # Errors
//
// An answer of the engine that is not the hoped-for one is an [*Error]; no
// answer is [ErrUnreachable]. Callers tell kinds apart with errors.Is and the
// sentinels of this package, never by status or text. The caller's own
// cancellation or deadline comes back as the bare context error; a limit that
// this package put on a call is ErrUnreachable.
package dockerapi
