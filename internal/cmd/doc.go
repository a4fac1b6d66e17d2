// Package cmd is the job engine. It takes jobs from a source, carries each out on a Docker Engine, and settles its
// message. Begin with [Pool.Run] in pool.go.
//
// A job becomes a task (task.go), and moves through these phases (phase.go). Only registry.move changes them:
//
//	waiting -> due -> begun -> created -> started -> exited -> over -> ended -> stored -> acked -> settled -> gone
//	   |
//	   +-> cancelled -> ended                  a message asked for its end: the engine was told nothing
//	   +-> recalled -> requeued -> gone        it cannot begin here now, see recall.go
//	   +-> ended                               it was refused
//
//	waiting, due, begun -> forwarded -> gone   another host has the job, or it has no result here
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
// A command that makes no container skips created to over. The files, in the order in which a job meets them:
//
//	recognise.go   finds the job of a redelivered message
//	registry.go    the live tasks, and the jobs that were settled lately; index.go: how they are found; containers.go: which
//	               task has which container
//	turn.go        a task waits for its turn. order.go: commands on one container take effect in the queue's order; hold.go:
//	               how many commands may keep their messages unacked while they wait: otherwise no stop would be delivered
//	recall.go      requeues what has not begun if the engine is away, the process stops, or all its deliveries are lost
//	by_job.go      commands that name a job, and the cancelling of jobs
//	do.go          carries a command out (hold.go calls it): do_run.go, do_exec.go, do_pull.go; do_logs.go: logs and inspect; do_control.go: stop,
//	               kill, remove and the others that one engine call does. docker.go: the engine's calls
//	place.go       which of several hosts makes a container, if the message says it; unplaced.go: the messages that none may have
//	claim.go       which of several hosts has a job, and what becomes of its claims; claim_name.go: of names; forward.go: what another host has goes there;
//	               lasting.go: claims without a task; home.go: what may not hold goes to this host's own queue; stale.go: what a released life of this host has left
//	create.go      creates a container, or adopts the container that a crash left; name_taken.go waits for a name that another container has
//	follow.go      starts it and follows it to its exit, over broken connections too; watch.go is what goes on
//	               while it runs, exit.go ends it at its limits; unseen.go finds out what an engine missed while it was
//	               down; readlog.go attaches to its output, and reads missed output from the log; restart.go: a message restarts it
//	retry.go       repeats engine calls that failed
//	outcome.go     the result, and whether the message is acked, tried again, or becomes a dead letter
//	settle.go      acks the message, then removes the container; without a message_id it removes the container before the
//	               ack. deliveries.go: the deliveries of the message; outbox.go: what is stored before the ack, and to
//	               whom the result was sent; lost.go waits for the redelivery of a message whose connection was lost; note.go: for the
//	               host that forwarded it
//	show.go        what the jobs are doing, for package status; job_output.go reads a job's log; show_pull.go tells how far
//	               a pull is
//	sweep.go       removes containers that a crash left and that no message will ask for
//
// If the broker goes away, jobs run on: answer in settle.go finds their deliveries lost, lost.go waits, recognise.go joins the
// redelivered message to its task, and settle.go answers that. Package amqpsrc connects again meanwhile.
//
// What knows no task is in packages below this one. The engine's side: engine knows whether it answers, exits learns of all
// exits from one stream, room watches its disk, logkept knows whether a log may have been cut, layers adds up how far a pull
// is, delay has the waits between attempts. The jobs' side: slots bounds how many go on at a time, holding has the claims that one
// holds, identity has what a message and its container are known by, closed asks channels, recent remembers settled ones, tally counts what has happened, joblog logs each ended job, or sums if there are very many, secrets gives them their secrets.
//
// Package intake is the interface to a source, reporter.go that to a reporter. Package message decodes messages, and policy
// says what they may ask for. Package event holds results and other events, output turns bytes into lines, status says what
// the daemon is doing. Queues and connections are internal/amqpsrc, the engine's API is internal/dockerapi.
package cmd
