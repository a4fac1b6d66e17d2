// Package cmd is the job engine: it makes jobs of deliveries, carries each out on a Docker Engine, and settles its
// message. Begin with [Pool.Run].
//
// A job's way is told by these files, in this order:
//
//	task.go        a delivery becomes a task, which one goroutine works on from then on
//	identity.go    how a message that comes again is known, and the labels by which a later process knows its container
//	registry.go    the tasks at work, and the jobs settled lately
//	order.go       commands on one container take effect in the queue's order
//	hold.go        commands that wait for something else keep no stop from being heard
//	recall.go      what has not begun goes back to its queue when the engine is away, or the process stops
//	do.go          what the engine is asked for each command: do_run.go and its kin
//	create.go      a container is made, or found again
//	follow.go      it is started and followed to its exit, whatever breaks; replay.go reads its log where output was missed
//	outcome.go     what became of it, as a result and as a verdict on the message
//	settle.go      the result is stored, the message acked, and only then the container removed
//
// What a message means is package message, what it may ask for policy, what is told of a job event, and how its bytes
// become lines output. Queues and connections are internal/amqpsrc, the engine's API is internal/dockerapi.
package cmd
