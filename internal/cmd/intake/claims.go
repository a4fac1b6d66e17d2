package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Claims say which host has a job or a container's name, if several hosts share a queue. The broker keeps them. All methods
// wait while the broker is away or refuses, until ctx ends. Other errors, but ErrNoHost, say that the process ends.
type Claims interface {
	// Host names this host and this life of it, as NAME.EPOCH. It is known after the first call of another method has
	// returned, and while messages are taken. Then it does not change.
	Host() string

	// Here leads a message to this host itself, as a claim does. It is known when Host is.
	Here() Claim

	// Claim makes key this host's, and counts one more holder of it here. If another host has key, Claim returns its claim.
	Claim(ctx context.Context, key ClaimKey) (other *Claim, err error)

	// ClaimFor makes key the host's with that name, for a job that must run there, and returns the claim: of that host, or
	// of the host that had it before. ErrNoHost: there is no such host.
	ClaimFor(ctx context.Context, key ClaimKey, host string) (Claim, error)

	// Living returns the hosts that are alive and whose labels are known, this one among them. What it says can be some
	// seconds old.
	Living(ctx context.Context) ([]Host, error)

	// Look returns the claim of key; nil: no host has it. A claim of a host that was released since is returned with Void: no
	// host has key then, and whoever claims it next gets it.
	Look(ctx context.Context, key ClaimKey) (*Claim, error)

	// Unclaim takes away one holder of key here, and deletes the claim with the last one. Another host's claim stays.
	Unclaim(ctx context.Context, key ClaimKey) error

	// Keep takes away one holder of key here. The claim stays, even without a holder: a container has it, which stays too.
	Keep(key ClaimKey)

	// Forget deletes the claim of a key that this host has, unless key has a holder here. Another host's claim stays.
	Forget(ctx context.Context, key ClaimKey) error
}

// A Claim is a host's claim.
type Claim struct {
	Host    string // the host's name, for people; "": not known
	Ours    bool
	Void    bool   // its host was released: see Claims.Look
	Address string // the exchange by which a message comes to that host
}

// A Host is one of the hosts that share a queue.
type Host struct {
	Name   string
	Labels map[string]string
}

// ErrNoHost is the error of Claims.ClaimFor for a host that never was, and of Job.Forward if the claim was void or deleted.
var ErrNoHost = errors.New("no such host")

// A ClaimKey is what can be claimed.
type ClaimKey struct {
	Kind string // "job" or "name"
	Key  string
}

// JobKey returns the key of the job with that id, of a queue.
func JobKey(vhost, queue, id string) ClaimKey {
	sum := sha256.Sum256([]byte(vhost + "\x00" + queue + "\x00job\x00" + id))
	return ClaimKey{"job", hex.EncodeToString(sum[:6])}
}

// NameKey returns the key of a container's name.
func NameKey(name string) ClaimKey { return ClaimKey{"name", name} }

// A Forwarded says how a job came from another host.
type Forwarded struct {
	Hops int // how often it was forwarded, from 1 to MostHops

	// Acked is closed once the host that forwarded it has had the original acked. Until then the original may be
	// redelivered to any host.
	Acked <-chan struct{}
}

// MostHops bounds how often a message is forwarded.
const MostHops = 5
