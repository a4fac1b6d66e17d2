// Package identity has what a message and the container of its job are known by: a redelivered message finds its job by it, and
// a later process finds the container.
package identity

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
)

// Labels of every container that we create. A later process knows a container by them. All of them are always set, some
// to the empty string: otherwise an image's labels of the same names would count. [secrets.Label] is one more.
const (
	LabelUser   = "docker-dispatch.user"   // the user of its message, see Job.User
	LabelJob    = "docker-dispatch.job"    // the job's id
	LabelQueue  = "docker-dispatch.queue"  // the queue of its message
	LabelDigest = "docker-dispatch.digest" // sha256 of the message's body, in hex
	LabelRemove = "docker-dispatch.remove" // "true": we remove it after its exit
	LabelBroker = "docker-dispatch.broker" // the queue's virtual host and its broker, as VHOST@BROKER

	// LabelAttempt is the attempt's number, from 1, if the job has Retry; else empty.
	LabelAttempt = "docker-dispatch.attempt"
	LabelCopy    = "docker-dispatch.copy" // see Job.Copy; empty unless a dead letter was sent again

	// LabelHost is the host that made the container, as intake.Claims.Host returns it; empty unless several hosts share the queue.
	LabelHost = "docker-dispatch.host"
)

// An Identity is what a redelivered message is known by: its queue, message_id and the digest of its body. A dead letter
// without a message_id that was sent again is known by Job.Copy instead. Without both the id is random, and only the
// digest is known.
type Identity struct {
	Queue   string
	Place   intake.Place
	ID      string // as shown, and in LabelJob
	raw     string // the message_id, else a NUL byte and Job.Copy; "" without both
	Copy    string // see Job.Copy
	Digest  string
	Attempt int    // from 1; each attempt has its own container
	Stable  bool   // raw is not empty
	suffix  string // for a derived name; see On
	Host    string // this host, see LabelHost; no part of what the message is known by
	User    string // see Job.User; no part of what the message is known by
}

// On returns the identity on one of several hosts that share the queue. The name of the job's container tells the job's
// claim there: then a command that has the name finds the host.
func (i Identity) On(host string) Identity {
	i.Host = host
	i.suffix = i.JobKey(i.ID).Key + "-" + i.suffix[:8]
	return i
}

// Of returns the identity of a message.
func Of(j intake.Job) Identity {
	sum := sha256.Sum256(j.Body)
	i := Identity{Queue: j.Queue, Place: j.Place, raw: j.MessageID, Copy: intake.JobID(j.Copy), Digest: hex.EncodeToString(sum[:]), Attempt: 1, User: j.User}
	if j.Attempt > 1 && j.Attempt <= message.MaxAttempt { // else a publisher set it
		i.Attempt = j.Attempt
	}
	if j.MessageID == "" && j.Copy != "" {
		i.raw = "\x00" + j.Copy
	}
	if i.Stable = i.raw != ""; !i.Stable {
		var b [6]byte
		rand.Read(b[:])
		i.suffix = hex.EncodeToString(b[:])
		i.ID = i.suffix
		return i
	}
	of := i.Place.VHost + "\x00" + i.Queue + "\x00" + i.raw + "\x00" + i.Digest
	if i.Attempt > 1 || i.Copy != "" {
		of += "\x00" + strconv.Itoa(i.Attempt) + "\x00" + i.Copy
	}
	key := sha256.Sum256([]byte(of))
	i.suffix = hex.EncodeToString(key[:6])
	i.ID = cmp.Or(intake.JobID(j.MessageID), i.suffix)
	return i
}

// Key identifies an attempt of a job, whatever its copy. It is for stable identities only: the others have no equal.
func (i Identity) Key() string {
	return i.Queue + "\x00" + i.raw + "\x00" + i.Digest + "\x00" + strconv.Itoa(i.Attempt)
}

// CopyKey is key, but differs between copies of a job too.
func (i Identity) CopyKey() recent.Key { return recent.KeyOf(i.Key() + "\x00" + i.Copy) }

// JobKey returns what is claimed for the job with that id, of the identity's queue.
func (i Identity) JobKey(id string) intake.ClaimKey {
	return intake.JobKey(i.Place.VHost, i.Queue, id)
}

// ContainerName returns the name of the job's container: the asked name, else a name derived from the identity. A create
// whose answer was lost is found again by it.
func (i Identity) ContainerName(asked string) string {
	if asked != "" {
		return asked
	}
	return message.DerivedName + i.suffix
}

// Labels returns the labels of the job's container.
func (i Identity) Labels(remove bool) map[string]string {
	return map[string]string{
		LabelJob: i.ID, LabelQueue: i.Queue, LabelDigest: i.Digest, LabelRemove: strconv.FormatBool(remove), LabelBroker: i.Place.String(),
		LabelAttempt: "", LabelCopy: i.Copy, LabelUser: i.User, LabelHost: i.Host,
	}
}

// Like reports whether a container was made for a message of the same queue, body and copy.
func (i Identity) Like(labels map[string]string) bool {
	return labels[LabelDigest] == i.Digest && labels[LabelCopy] == i.Copy && i.OfQueue(labels)
}

// OfQueue reports whether a container was made for a message of the identity's queue. The broker's name may have changed
// since, and is not compared.
func (i Identity) OfQueue(labels map[string]string) bool {
	place, ok := labels[LabelBroker]
	return labels[LabelQueue] == i.Queue && (!ok || strings.HasPrefix(place, i.Place.Prefix()))
}

// Made reports whether a container was made for a message of the identity's queue. No other container is ever renamed or
// removed to free a name.
func (i Identity) Made(labels map[string]string) bool {
	return labels[LabelJob] != "" && i.OfQueue(labels)
}

// Ours reports whether this host made a container, in this life of it. If several hosts share the queue, the container's claims are
// this host's then.
func (i Identity) Ours(labels map[string]string) bool { return labels[LabelHost] == i.Host }

// EarlierAttempt reports whether a container that has the job's name belongs to another attempt of the job. Once it has
// ended, it is removed to free the name.
func (i Identity) EarlierAttempt(labels map[string]string) bool {
	n, err := strconv.Atoi(labels[LabelAttempt])
	return err == nil && n != i.Attempt && labels[LabelDigest] == i.Digest && i.OfQueue(labels) && labels[LabelJob] == i.ID
}
