package claims

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// Config is the configuration of a host's Claims.
type Config struct {
	Queue  string            // the queue that the hosts share
	Host   string            // this host's name; see ValidHost
	Labels map[string]string // that hosts are chosen by, shown to people

	// EngineID returns the ID of this host's engine. It must be the same each time: two engines must not have one name.
	EngineID func(context.Context) (string, error)

	Log *slog.Logger
}

// Claims are a host's claims at the broker. They have connections of their own, which Run keeps up.
type Claims struct {
	config   Config
	dialer   *wire.Dialer
	registry *registry
	held     held
	report   wire.Reporter
	entered  intake.Gate
	ended    chan struct{} // closed when Run has returned

	// Only Run uses these.
	engine   string        // the engine's ID; "": not known yet
	patience time.Duration // how long the name may be in use at first

	mu   sync.Mutex
	life life  // zero until the host has entered first; guarded by mu
	line *line // nil: not connected; guarded by mu

	living living
}

var _ intake.Claims = (*Claims)(nil)

// New returns a host's Claims. Nothing is dialled before Run.
func New(d *wire.Dialer, cfg Config) *Claims {
	return &Claims{
		config:   cfg,
		dialer:   d,
		registry: newRegistry(cfg.Queue),
		report:   wire.Reporter{Log: cfg.Log, Lost: "no job can be claimed, waiting", Back: "jobs can be claimed again", Second: true},
		held:     held{keys: make(map[intake.ClaimKey]*hold)},
		ended:    make(chan struct{}),
		patience: inUse,
		living:   living{turn: make(chan struct{}, 1)},
	}
}

// Entered returns a gate that is open while this host is known at the broker as alive. No message may be taken while it is closed.
func (c *Claims) Entered() *intake.Gate { return &c.entered }

// Fault returns why this host is not known at the broker as alive; nil: it is.
func (c *Claims) Fault() error { return c.report.Fault() }

// Host implements [intake.Claims]. The epoch is known once Entered has been open.
func (c *Claims) Host() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == (life{}) {
		return c.config.Host + ".?"
	}
	return fmt.Sprintf("%s.%d", c.config.Host, c.life.epoch)
}

// Here implements [intake.Claims].
func (c *Claims) Here() intake.Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return intake.Claim{Host: c.config.Host, Ours: true, Address: c.life.exchange()}
}

// Claim implements [intake.Claims].
func (c *Claims) Claim(ctx context.Context, key intake.ClaimKey) (other *intake.Claim, err error) {
	err = c.held.alone(ctx, key, func(h *hold) error {
		if c.held.more(h, "") {
			return nil
		}
		claim, err := c.find(ctx, key, true)
		if err == nil && claim.Ours {
			c.held.more(h, claim.Address)
		} else {
			other = claim
		}
		return err
	})
	return other, err
}

// Look implements [intake.Claims].
func (c *Claims) Look(ctx context.Context, key intake.ClaimKey) (*intake.Claim, error) {
	if claim := c.held.look(key); claim != "" {
		return &intake.Claim{Host: c.config.Host, Ours: true, Address: claim}, nil
	}
	return c.find(ctx, key, false)
}

// find returns the claim of a key, or nil. If ours, it makes one for this host if no host has the key.
func (c *Claims) find(ctx context.Context, key intake.ClaimKey, ours bool) (found *intake.Claim, err error) {
	err = c.try(ctx, func(l *line, _ bool) (err error) {
		as := life{}
		if ours {
			as = c.life
		}
		found, err = c.claim(ctx, l, key, as)
		return err
	})
	return found, err
}

// ClaimFor implements [intake.Claims]. It counts no holder here.
func (c *Claims) ClaimFor(ctx context.Context, key intake.ClaimKey, host string) (intake.Claim, error) {
	var found intake.Claim
	err := c.try(ctx, func(l *line, _ bool) error {
		as, err := c.registry.current(ctx, l, host)
		if err != nil {
			return err
		}
		if known, err := l.exists(ctx, as.exchange()); err != nil {
			return err
		} else if !known {
			return fmt.Errorf("%w: %q", intake.ErrNoHost, host)
		}
		c.registry.learn(host)
		claim, err := c.claim(ctx, l, key, as)
		if err == nil {
			found = *claim
		}
		return err
	})
	return found, err
}

// Unclaim implements [intake.Claims].
func (c *Claims) Unclaim(ctx context.Context, key intake.ClaimKey) error {
	fewer := false
	err := c.held.alone(ctx, key, func(h *hold) error {
		claim, last := c.held.fewer(h)
		fewer = true
		if !last {
			return nil
		}
		return c.remove(ctx, key, claim)
	})
	if !fewer { // ctx has ended: the claim stays, but must not count as held for ever
		c.held.keep(key)
	}
	return err
}

// Keep implements [intake.Claims].
func (c *Claims) Keep(key intake.ClaimKey) { c.held.keep(key) }

// Forget implements [intake.Claims].
func (c *Claims) Forget(ctx context.Context, key intake.ClaimKey) error {
	return c.held.alone(ctx, key, func(*hold) error {
		if c.held.look(key) != "" {
			return nil
		}
		return c.remove(ctx, key, "")
	})
}

// remove deletes the claim of a key, if this host has it. claim is its exchange; "": not known.
func (c *Claims) remove(ctx context.Context, key intake.ClaimKey, claim string) error {
	return c.try(ctx, func(l *line, again bool) error {
		if claim == "" || again { // if the first delete was carried out, another host may have claimed since
			found, err := c.registry.find(ctx, l, key, life{})
			if err != nil || found.owner != c.life {
				return err
			}
			claim = found.address
		}
		return l.unclaim(ctx, claim, majorityQueue(c.config.Queue))
	})
}

// claim returns the claim of a key, or nil. Unless as is zero, it makes one for as if there is none.
func (c *Claims) claim(ctx context.Context, l *line, key intake.ClaimKey, as life) (*intake.Claim, error) {
	found, err := c.registry.find(ctx, l, key, as)
	if err != nil || found.owner == (life{}) {
		return nil, err
	}
	name := c.config.Host
	if found.owner.hash != c.life.hash {
		if name, err = c.registry.name(ctx, l, found.owner.hash); err != nil {
			c.config.Log.Debug("the names of the hosts are not known", "error", err)
		}
	}
	return &intake.Claim{Host: name, Ours: found.owner == c.life, Void: found.void, Address: found.address}, nil
}

// errEnded is the error of a call after Run has returned.
var errEnded = errors.New("claims cannot be made any more: the daemon stops")

// current returns the connection, and waits while there is none.
func (c *Claims) current(ctx context.Context) (*line, error) {
	for {
		_, changed := c.entered.State()
		c.mu.Lock()
		l := c.line
		c.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-c.ended:
			return nil, errEnded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try makes calls, once more for each connection that is lost: again is true then, and the calls may have been carried out. If the
// broker refuses a call, the connection ends: no message is taken while this host may not claim, or while a queue of the hosts is missing,
// which the next connection declares.
func (c *Claims) try(ctx context.Context, calls func(l *line, again bool) error) error {
	for again := false; ; again = true {
		l, err := c.current(ctx)
		if err != nil {
			return err
		}
		err = calls(l, again)
		if wire.Refused(err) {
			err = l.end(err)
		}
		if !errors.Is(err, wire.ErrLine) {
			return err
		}
		select {
		case <-l.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
