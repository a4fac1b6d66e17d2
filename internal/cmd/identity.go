package cmd

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// Labels of every container that we create. They are what a later process knows a container by. All of them are always
// set, some to nothing: an image may have labels of the same names.
const (
	LabelJob    = "docker-dispatch.job"    // the job's id
	LabelQueue  = "docker-dispatch.queue"  // the queue of its message
	LabelDigest = "docker-dispatch.digest" // sha256 of the message's body, in hex
	LabelRemove = "docker-dispatch.remove" // "true": ours to remove when it has ended
	LabelBroker = "docker-dispatch.broker" // the queue's virtual host and its broker, as VHOST@BROKER

	// LabelAttempt counts the attempts of a job that is tried again when it fails, from 1.
	LabelAttempt = "docker-dispatch.attempt"
	LabelCopy    = "docker-dispatch.copy" // which copy of its message, where a dead letter was sent again
)

// An identity is what a message is known by when it comes again: queue, message_id and the digest
// of its body. A dead letter without a message_id that was sent again is known by its mark in place of that. Without
// both the id is random, and the digest is all there is.
type identity struct {
	queue   string
	place   Place
	id      string // as shown, and in LabelJob
	raw     string // the message_id, or what stands in its place
	copy    string // see Job.Copy
	digest  string
	attempt int    // from 1; each attempt has a container of its own
	stable  bool   // raw is not empty
	suffix  string // 12 hex digits for a derived name
}

func identify(j Job) identity {
	sum := sha256.Sum256(j.Body)
	i := identity{queue: j.Queue, place: j.Place, raw: j.MessageID, copy: JobID(j.Copy), digest: hex.EncodeToString(sum[:]), attempt: 1}
	if j.Attempt > 1 && j.Attempt <= message.MaxAttempt { // else it is no attempt of ours
		i.attempt = j.Attempt
	}
	if j.MessageID == "" && j.Copy != "" {
		i.raw = "\x00" + j.Copy
	}
	if i.stable = i.raw != ""; !i.stable {
		var b [6]byte
		rand.Read(b[:])
		i.suffix = hex.EncodeToString(b[:])
		i.id = i.suffix
		return i
	}
	of := i.place.VHost + "\x00" + i.queue + "\x00" + i.raw + "\x00" + i.digest
	if i.attempt > 1 || i.copy != "" {
		of += "\x00" + strconv.Itoa(i.attempt) + "\x00" + i.copy
	}
	key := sha256.Sum256([]byte(of))
	i.suffix = hex.EncodeToString(key[:6])
	i.id = cmp.Or(JobID(j.MessageID), i.suffix)
	return i
}

// JobID is the id of a job as it is shown and taken everywhere: the message_id, in which bytes that are not UTF-8 and
// characters that cannot be seen are written as Go writes them, such as \xe9.
func JobID(id string) string {
	if utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return id
	}
	quoted := strconv.Quote(id)
	return quoted[1 : len(quoted)-1]
}

// key tells equal jobs apart from all others; of a message_id whatever its copy. Jobs that are not stable are equal to none.
func (i identity) key() string {
	return i.queue + "\x00" + i.raw + "\x00" + i.digest + "\x00" + strconv.Itoa(i.attempt)
}

// copyKey tells copies of a job apart too.
func (i identity) copyKey() memoryKey { return keyOf(i.key() + "\x00" + i.copy) }

// containerName is the name of the job's container: the one asked for, else one derived from the
// identity, so that a create whose answer was lost is found again by its name.
func (i identity) containerName(asked string) string {
	if asked != "" {
		return asked
	}
	return message.DerivedName + i.suffix
}

// labels of the job's container.
func (i identity) labels(remove bool) map[string]string {
	return map[string]string{
		LabelJob: i.id, LabelQueue: i.queue, LabelDigest: i.digest, LabelRemove: strconv.FormatBool(remove), LabelBroker: i.place.String(),
		LabelAttempt: "", LabelCopy: i.copy,
	}
}

// like tells whether a container was made for a message like this, and this copy of it.
func (i identity) like(labels map[string]string) bool {
	return labels[LabelDigest] == i.digest && labels[LabelCopy] == i.copy && i.ofQueue(labels)
}

// ofQueue tells whether a container was made for a message of the identity's queue. What a broker calls
// itself may have changed since, and is not looked at.
func (i identity) ofQueue(labels map[string]string) bool {
	place, ok := labels[LabelBroker]
	return labels[LabelQueue] == i.queue && (!ok || strings.HasPrefix(place, i.place.vhost()))
}
