// Package live has what a live job is: a [Task], and the [Registry] of all that this process has. It asks neither the engine nor
// the broker. Begin with [Task] and [Phase].
//
// A task moves through these phases. Only Registry.move in phase.go changes them. Packages cmd and container ask for it by [Task.To]:
//
//	waiting -> due -> begun -> created -> started -> exited -> over -> ended -> stored -> acked -> settled -> gone
//	   |
//	   +-> cancelled -> ended                  a message asked for its end: the engine was told nothing
//	   +-> recalled -> requeued -> gone        it cannot begin here now
//	   +-> ended                               it was refused
//
//	waiting, due, begun -> forwarded -> gone   another host has the job, or it has no result here
//	due, begun, created, started -> ended      it failed early
//	all but waiting and recalled -> gone       the process stops
//
//	waiting   it has its place in the order; it can still be requeued or cancelled
//	due       its turn has come; it goes back to waiting if the engine is away at its first call
//	begun     the engine may have been told something: only forward from here
//	created   the container exists. From here on it tells a later process how far the job has come
//	started   the container has run
//	exited    the container has exited, and its output may still come; it goes back to started if the container is restarted
//	over      no message is restarting the container, and none will if the job is to remove it
//	ended     the result is known
//	stored    the broker has confirmed the result, the answer, and the dead letter or the next attempt
//	acked     the ack is written, and may still be lost: the redelivered message joins the task and is acked
//	settled   the ack cannot be lost any more, and the container may be removed
//
// A command that makes no container skips created to over. waiting.go has the ways out of waiting. recognise.go finds the job of
// a redelivered message, deliveries.go has the deliveries of a task, order.go its place among the commands on one container,
// await.go its place among all, containers.go which task has which container. index.go finds tasks, and shown.go makes
// a [status.Job] of each.
package live
