// Package claims says which host has a job or a container's name, if several hosts share a queue. The broker keeps the claims, as
// exchanges: the first declare of an exchange wins, and all later ones with another owner are refused. A message that is
// published to a claim arrives in a queue of its owner: the host queue, or, by its routing key, the host's control queue.
//
//	names.go     the names at the broker
//	line.go      calls on a connection, a few at a time
//	registry.go  who has a claim; which hosts were released
//	claims.go    the daemon's side, intake.Claims; held.go: the claims of this process
//	living.go    which hosts are alive, for a job that only some of them may run
//	run.go       its connection; enter.go: what a host does before it takes jobs; seen.go: its sign of life
//	hosts.go     the operator's side: which hosts there are; release.go: gives up a host that is lost for good
package claims
