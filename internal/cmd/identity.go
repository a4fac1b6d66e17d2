package cmd

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Labels of every container that we create. They are what a later process knows a container by.
const (
	LabelJob    = "docker-dispatch.job"    // the job's id
	LabelQueue  = "docker-dispatch.queue"  // the queue of its message
	LabelDigest = "docker-dispatch.digest" // sha256 of the message's body, in hex
	LabelRemove = "docker-dispatch.remove" // "true": ours to remove when it has ended
)

// An identity is what a message is known by when it comes again: queue, message_id and the digest
// of its body. Without a message_id the id is random, and the digest is all there is.
type identity struct {
	queue  string
	id     string // as shown, and in LabelJob
	digest string
	stable bool   // the publisher gave a message_id
	suffix string // 12 hex digits for a derived name
}

func identify(j Job) identity {
	sum := sha256.Sum256(j.Body)
	i := identity{queue: j.Queue, digest: hex.EncodeToString(sum[:])}
	if j.MessageID == "" {
		var b [6]byte
		rand.Read(b[:])
		i.suffix = hex.EncodeToString(b[:])
		i.id = i.suffix
		return i
	}
	i.stable = true
	i.id = strings.ToValidUTF8(j.MessageID, "\uFFFD")
	key := sha256.Sum256([]byte(j.Queue + "\x00" + j.MessageID + "\x00" + i.digest))
	i.suffix = hex.EncodeToString(key[:6])
	return i
}

// key tells equal jobs apart from all others. Jobs without a message_id are equal to none.
func (i identity) key() string { return i.queue + "\x00" + i.id + "\x00" + i.digest }

// containerName is the name of the job's container: the one asked for, else one derived from the
// identity, so that a create whose answer was lost is found again by its name.
func (i identity) containerName(asked string) string {
	if asked != "" {
		return asked
	}
	return "dispatch-" + i.suffix
}

// labels of the job's container.
func (i identity) labels(remove bool) map[string]string {
	l := map[string]string{LabelJob: i.id, LabelQueue: i.queue, LabelDigest: i.digest, LabelRemove: "false"}
	if remove {
		l[LabelRemove] = "true"
	}
	return l
}
