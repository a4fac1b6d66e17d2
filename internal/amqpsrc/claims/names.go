package claims

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// MostHost is the most bytes of a host's name.
const MostHost = 63

// The ends of the names of a host's further queues.
const endControl, endLock, endSeen = ".control", ".lock", ".seen"

// ValidHost reports whether a host may have that name. Its queue must not be another host's further queue.
func ValidHost(host string) bool {
	const first = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, end := range []string{endControl, endLock, endSeen} {
		if strings.HasSuffix(host, end) {
			return false
		}
	}
	return host != "" && len(host) <= MostHost && strings.Contains(first, host[:1]) && strings.Trim(host, first+"_.-") == ""
}

// HostQueue returns the queue of the messages that only this host can carry out, except those of ControlQueue.
func HostQueue(queue, host string) string { return queue + ".host." + host }

// ControlQueue returns the queue of those commands for this host that may overtake runs. Of a host's queues it has the longest name.
func ControlQueue(queue, host string) string { return HostQueue(queue, host) + endControl }

// ControlKey is the routing key with which a message that is published to a claim comes to the host's ControlQueue. Without a key it
// comes to the HostQueue.
const ControlKey = "control"

// ownQueues returns the queues of a host that hold messages, by routing key.
func ownQueues(queue, host string) []struct{ key, name string } {
	return []struct{ key, name string }{{"", HostQueue(queue, host)}, {ControlKey, ControlQueue(queue, host)}}
}

func lockQueue(queue, host string) string { return HostQueue(queue, host) + endLock }

func seenQueue(queue, host string) string { return HostQueue(queue, host) + endSeen }

// RecordsQueue returns the queue with a message for each host that ever was. It exists if hosts share the queue.
func RecordsQueue(queue string) string { return queue + ".hosts" }

// majorityQueue returns the queue that is always empty: see line.claim.
func majorityQueue(queue string) string { return queue + ".hosts.majority" }

const (
	claimPrefix    = "docker-dispatch.claim."
	hostPrefix     = "docker-dispatch.h."
	releasedPrefix = "docker-dispatch.released."
	enginePrefix   = "docker-dispatch.engine."

	// mostEpochs bounds how often a host can be released.
	mostEpochs = 10_000

	// mostVHost is the most bytes of a vhost's name: the broker cuts an error's text after 255, and the text must name the
	// owner of a claim.
	mostVHost = 255 - len("PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '"+claimPrefix+
		"01234567890123456789' in vhost '': received '0' but current is '"+hostPrefix+"0123456789.9999'")
)

// checkNames returns why the names of a host do not fit at the broker; "": they do.
func checkNames(vhost, queue, host string) string {
	switch {
	case len(vhost) > mostVHost:
		return fmt.Sprintf("the virtual host %q has %d bytes, and may have %d", vhost, len(vhost), mostVHost)
	case len(ControlQueue(queue, host)) > 255:
		return fmt.Sprintf("the queue %q would have more than 255 bytes", ControlQueue(queue, host))
	}
	return ""
}

// pattern returns the names that the daemon must be allowed to configure, write and read, as a regular expression.
func pattern(queue string) string {
	var quoted strings.Builder
	for _, c := range []byte(queue) {
		if strings.IndexByte(`\.+*?()|[]{}^$`, c) >= 0 {
			quoted.WriteByte('\\')
		}
		quoted.WriteByte(c)
	}
	return "^(" + quoted.String() + `\.host.*|docker-dispatch\.(claim|h|released|engine)\..*)$`
}

// claimExchange returns the name of a claim. If the owner of link 0 was released, link 1 counts, and so on.
func claimExchange(queue string, key intake.ClaimKey, link int) string {
	text := queue + "\x00" + key.Kind + "\x00" + key.Key
	if link > 0 {
		text = strconv.Itoa(link) + "\x00" + text // at the end it could be a part of a stranger's key
	}
	return claimPrefix + digest(text, 10)
}

// digest returns the first n bytes of a hash, in hexadecimal.
func digest(text string, n int) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:n])
}

// A life is a host between two releases. The zero life is no host's.
type life struct {
	hash  string // of queue and host
	epoch int    // how often the host was released before
}

func hostHash(queue, host string) string { return digest(queue+"\x00"+host, 5) }

// exchange returns the name of the exchange whose messages go to the host's queues. It exists until the life is released.
func (l life) exchange() string { return fmt.Sprintf("%s%s.%d", hostPrefix, l.hash, l.epoch) }

// marker returns the name of the exchange that exists once the life is released.
func (l life) marker() string { return fmt.Sprintf("%s%s.%d", releasedPrefix, l.hash, l.epoch) }

// parseLife returns the life whose exchange has that name.
func parseLife(exchange string) (l life, ok bool) {
	hash, epoch, _ := strings.Cut(strings.TrimPrefix(exchange, hostPrefix), ".")
	n, err := strconv.Atoi(epoch)
	l = life{hash, n}
	return l, err == nil && n >= 0 && len(hash) == 10 && l.exchange() == exchange
}
