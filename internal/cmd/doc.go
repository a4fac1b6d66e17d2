// Package cmd is the job engine: it takes jobs from a source, carries each out on a Docker Engine, and settles its
// message. Begin with [Pool.Run] in pool.go.
//
// These files tell a job's way, in this order:
//
//	task.go        a job becomes a task, and one goroutine works on it
//	identity.go    how a message that comes again is known, and the labels by which a later process knows its container
//	registry.go    the tasks at work, and the jobs that were settled lately
//	order.go       commands on one container take effect in the queue's order
//	hold.go        limits how many waiting commands keep their messages, so that a stop still gets through
//	slots.go       how many runs go on at a time
//	recall.go      gives back what has not begun when the engine is away, or the process stops
//	by_job.go      commands that name a job, and the cancelling of jobs
//	do.go          carries a command out: do_run.go, do_exec.go and so on
//	create.go      makes a container, or adopts the one that a crash left
//	follow.go      starts it and follows it to its exit, whatever breaks; replay.go reads its log where output was missed
//	retry.go       repeats calls of the engine that failed; engine.go and gate.go know whether the engine is there
//	outcome.go     the result, and whether the message is acked, tried again, or becomes a dead letter
//	settle.go      stores the result, acks the message, then removes the container; without a message_id it removes the
//	               container before the ack. It also waits for a message whose connection was lost
//	sweep.go       removes containers that a crash left and that no message will ask for; memory.go forgets settled jobs
//
// job.go and reporter.go are what a source and a reporter have to do with the engine.
//
// Package message decodes messages. Package policy says what they may ask for. Package event holds results and other
// events. Package output turns bytes into lines. Queues and connections are internal/amqpsrc, the engine's API is
// internal/dockerapi.
package cmd
