// Package cmd is the job engine. It takes jobs from a source, has each carried out on a Docker Engine, and settles its
// message. Begin with [Pool.Run] in pool.go.
//
// Three packages are below it; imports go down only. Each knows what the next one does not:
//
//	cmd          the source's channels, the settling of messages, and when a job's turn comes
//	container    the engine: how a command is carried out
//	hosts        the other hosts of the queue, and which of them has a job
//	live         what a live job is: its phases, order, container and deliveries, and the registry of all jobs
//
// A job becomes a [live.Task]. A container.Work holds it, with what the goroutine of its command uses. A task of this package
// holds the Work, with what settles it. One goroutine works on all three. The files, in the order in which a job meets them:
//
//	task.go        decodes a message, and carries its task from the first phase to the last
//	turn.go        a task waits for its turn. hold.go: how many commands may keep their messages unacked while they wait:
//	               otherwise no stop would be delivered
//	recall.go      requeues what has not begun if the engine is away, the process stops, or all its deliveries are lost
//	by_job.go      which container a command is for, and whether it may reach it; commands that name a job cancel it, or wait for it
//	hand_over.go   what another host has goes there; what no host may have is put back
//	settle.go      decides what becomes of the message: ack, next attempt or dead letter (verdict). It publishes the result, settles
//	               the message, then removes the container; without a message_id it removes the container before the ack.
//	               lost.go waits for the redelivery of a message whose connection was lost
//	show.go        what the jobs are doing, for package status; it reads a job's log too
//	sweep.go       removes containers that no message will ask for: a crash or a former life of this host left them
//
// If the broker goes away, jobs that have begun run on. task.answer in settle.go finds all their deliveries lost. lost.go waits for
// a redelivery, which [live.Registry.Recognise] joins to its task. If none has come a minute after the queue is consumed again, lost.go
// sends the result without it. A job that has not begun does not begin: recall.go lets it go. Meanwhile package amqpsrc connects
// again. Package publish does so for its own connection, and package claims for its own.
//
// What knows no task is in packages below these. The engine's side: engine knows whether it answers, exits learns of all
// exits from one stream, room watches its disk, logkept knows whether a log may have been cut, layers adds up how far a pull
// is, delay has the waits between attempts. The jobs' side: identity has what a message and its container are known by, slots
// bounds how many go on at a time, holding has the claims that one holds, recent remembers settled ones, tally counts what has
// happened, joblog logs each ended job, or sums if there are very many, secrets gives them their secrets.
//
// Package intake is the interface to a source. Package message decodes messages, and policy says what they may ask for.
// Package event holds results and other events, output turns bytes into lines, status says what the daemon is doing. Queues
// and connections are internal/amqpsrc, the engine's API is internal/dockerapi. cmd/docker-dispatch/help/develop.md has a table:
// where to look for what.
package cmd
