package cmd

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

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

// An identity is what a redelivered message is known by: its queue, message_id and the digest of its body. A dead letter
// without a message_id that was sent again is known by Job.Copy instead. Without both the id is random, and only the
// digest is known.
type identity struct {
	queue   string
	place   intake.Place
	id      string // as shown, and in LabelJob
	raw     string // the message_id, else a NUL byte and Job.Copy; "" without both
	copy    string // see Job.Copy
	digest  string
	attempt int    // from 1; each attempt has its own container
	stable  bool   // raw is not empty
	suffix  string // for a derived name; see Pool.identify
	host    string // this host, see LabelHost; no part of what the message is known by
	user    string // see Job.User; no part of what the message is known by
}

// identify returns the identity of a message. If several hosts share the queue, the name of the job's container tells the
// job's claim: then a command that has the name finds the host.
func (p *Pool) identify(j intake.Job) identity {
	i := identify(j)
	if p.Claims != nil {
		i.host = p.Claims.Host()
		i.suffix = i.jobKey(i.id).Key + "-" + i.suffix[:8]
	}
	return i
}

func identify(j intake.Job) identity {
	sum := sha256.Sum256(j.Body)
	i := identity{queue: j.Queue, place: j.Place, raw: j.MessageID, copy: JobID(j.Copy), digest: hex.EncodeToString(sum[:]), attempt: 1, user: j.User}
	if j.Attempt > 1 && j.Attempt <= message.MaxAttempt { // else a publisher set it
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

// JobID returns the id of a job as it is shown and accepted everywhere: the message_id, with bytes that are not UTF-8 and
// unprintable characters escaped as in Go, such as \xe9.
func JobID(id string) string {
	if utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return id
	}
	quoted := strconv.Quote(id)
	return quoted[1 : len(quoted)-1]
}

// key identifies an attempt of a job, whatever its copy. It is for stable identities only: the others have no equal.
func (i identity) key() string {
	return i.queue + "\x00" + i.raw + "\x00" + i.digest + "\x00" + strconv.Itoa(i.attempt)
}

// copyKey is key, but differs between copies of a job too.
func (i identity) copyKey() recent.Key { return recent.KeyOf(i.key() + "\x00" + i.copy) }

// jobKey returns what is claimed for the job with that id, of the identity's queue.
func (i identity) jobKey(id string) intake.ClaimKey {
	return intake.JobKey(i.place.VHost, i.queue, id)
}

// containerName returns the name of the job's container: the asked name, else a name derived from the identity. A create
// whose answer was lost is found again by it.
func (i identity) containerName(asked string) string {
	if asked != "" {
		return asked
	}
	return message.DerivedName + i.suffix
}

// labels returns the labels of the job's container.
func (i identity) labels(remove bool) map[string]string {
	return map[string]string{
		LabelJob: i.id, LabelQueue: i.queue, LabelDigest: i.digest, LabelRemove: strconv.FormatBool(remove), LabelBroker: i.place.String(),
		LabelAttempt: "", LabelCopy: i.copy, LabelUser: i.user, LabelHost: i.host,
	}
}

// like reports whether a container was made for a message of the same queue, body and copy.
func (i identity) like(labels map[string]string) bool {
	return labels[LabelDigest] == i.digest && labels[LabelCopy] == i.copy && i.ofQueue(labels)
}

// ofQueue reports whether a container was made for a message of the identity's queue. The broker's name may have changed
// since, and is not compared.
func (i identity) ofQueue(labels map[string]string) bool {
	place, ok := labels[LabelBroker]
	return labels[LabelQueue] == i.queue && (!ok || strings.HasPrefix(place, i.place.Prefix()))
}
