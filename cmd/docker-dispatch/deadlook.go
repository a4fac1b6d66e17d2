package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A look is one pass over the dead letters, lot by lot.
//
// A quorum queue counts how often each letter was returned, and drops a letter when that is more than the queue's delivery
// limit, which the broker does not tell. So a letter that was never returned is held, and returned when the look ends.
// A letter that was returned before is put into the queue anew, and acked when the copy is stored; so is each letter
// after it, which keeps the order. Killed, a look returns one lot of such letters, some of them beside their copies.
type look struct {
	*morgue
	client *client.Client
	hold   bool // no letter is put anew

	id       string   // of this look: its copies have it
	stop     func()   // ends the consumer of the last lot
	giveBack []func() // for each lot that is held
	copies   int      // of ours that have not come
	bytes    int      // of the bodies that have come
	begun    bool     // letters are put anew
	failed   bool     // no letter can be put anew
	unsent   []string // IDs of letters that could not be
	why      error    // of the first of them
}

const (
	// A look takes so many letters first, twice as many each next time, and at most lotSize of those that are put anew. Those that
	// are held are taken up to mostLot at a time, for each lot has its own channel.
	firstLot = 16
	lotSize  = 256
	mostLot  = 65535

	// renewBytes is how much of letters is put anew before what is stored is acked.
	renewBytes = 16 << 20

	// renewTime is how long the broker may take to store them.
	renewTime = 30 * time.Second
)

var errNotInTime = fmt.Errorf("not stored within %v", renewTime)

func (m *morgue) look(c *client.Client) *look {
	return &look{morgue: m, client: c, id: rand.Text(), stop: func() {}}
}

// identity tells a letter from all others, except from its own copies.
type identity [sha256.Size]byte

// identityOf is zero if r has no mark, by which a copy of it could be known.
func identityOf(r client.Received) (id identity) {
	if mark := r.DeadLetter().Copy; mark != "" {
		h := sha256.New()
		fmt.Fprintf(h, "%q %q ", mark, r.ID) // a publisher can claim another letter's mark
		h.Write(r.Body)
		h.Sum(id[:0])
	}
	return id
}

// over has do work on n letters, in order. A letter that do does not ack stays in the queue. A signal ends the look
// between two lots: in the middle of one it would return letters. end must be called.
func (l *look) over(ctx context.Context, n int, do func(lot []client.Received) error) error {
	// The first lots are small: what a killed look has returned is in them, and may be at its limit.
	overtaken := false
	for size := firstLot; n > 0; {
		lot := min(n, size)
		if overtaken { // there may be letters behind all copies of ours
			lot = min(n+max(0, l.copies), size) // fewer were stored in time than came
		}
		took, own, err := l.lot(ctx, lot, do)
		if err = cmp.Or(err, causeOr(ctx, nil)); err != nil || took < lot {
			return err
		}
		n -= took - own
		l.copies -= own
		overtaken = overtaken || own > 0 // by their priority; or somebody else took letters
		if size = min(2*lot, mostLot); l.begun && !l.failed {
			size = min(size, lotSize)
		}
	}
	return nil
}

// lot has do work on the next n letters, own of which are copies that this look has put into the queue. They are left out.
//
// No letter is acked here because another seems to be the same: it may be the copy of that, and the last.
func (l *look) lot(ctx context.Context, n int, do func([]client.Received) error) (took, own int, err error) {
	l.stop() // not before: a consumer tells others that letters are held
	taking := context.WithoutCancel(ctx)
	in, stop, giveBack, err := l.client.Take(taking, l.from, n)
	if err != nil {
		return 0, 0, err
	}
	l.stop = stop
	var all, lot []client.Received
	err = l.each(taking, l.client, in, n, func(r client.Received) error {
		d := r.DeadLetter()
		all = append(all, r)
		l.bytes += len(r.Body)
		if d.Look == l.id {
			own++
			return nil
		}
		l.begun = l.begun || d.Looks > 0 && !l.hold
		lot = append(lot, r)
		return nil
	})
	if len(all) < n { // a copy would come, too
		stop()
		for range in {
		}
	}
	err = cmp.Or(do(lot), err)
	if l.begun {
		l.renew(ctx, lot)
	}
	switch {
	case !slices.ContainsFunc(all, func(r client.Received) bool { return !r.Settled() }):
		go giveBack() // Close waits for it
	default:
		l.giveBack = append(l.giveBack, giveBack)
	}
	return len(all), own, err
}

// end returns the letters that are held, in order.
func (l *look) end() {
	l.stop()
	for _, giveBack := range l.giveBack {
		giveBack()
	}
	l.giveBack = nil
	if len(l.unsent) > 0 {
		fmt.Fprintf(l.process.stderr, "docker-dispatch: warning: dead letters could not be put into %s anew: %s: %s; the broker counts each look at them, "+
			"and drops a message at the queue's delivery limit (20 since RabbitMQ 4.0, where nothing else is set): set that to -1 by a policy\n",
			plainLine(l.from), l.unsentIDs(), plainLine(l.why.Error()))
		l.unsent = nil
	}
}

// renew puts letters into the queue anew. A letter whose copy is not stored for sure stays as it is.
func (l *look) renew(ctx context.Context, letters []client.Received) {
	letters = slices.DeleteFunc(slices.Clone(letters), client.Received.Settled)
	for len(letters) > 0 && !l.failed {
		n := 0
		for bytes := 0; n < len(letters) && bytes < renewBytes; n++ {
			bytes += len(letters[n].Body)
		}
		l.store(ctx, letters[:n])
		letters = letters[n:]
	}
}

func (l *look) store(ctx context.Context, letters []client.Received) {
	// A signal does not end it: what is sent already is to be known.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), renewTime, errNotInTime)
	defer cancel()
	type copied struct {
		client.Received
		confirmed func(context.Context) error
	}
	var copies []copied
	for _, r := range letters {
		confirmed, err := l.client.Send(ctx, l.from, r.Anew(l.id))
		if err == nil {
			copies = append(copies, copied{r, confirmed})
		} else if l.missed(r, causeOr(ctx, err)); l.failed {
			break
		}
	}
	var stored []client.Received
	for _, c := range copies {
		if err := c.confirmed(ctx); err != nil {
			l.missed(c.Received, causeOr(ctx, err))
		} else {
			stored = append(stored, c.Received)
		}
	}
	l.copies += len(stored)
	if err := client.AckAll(stored); err != nil {
		for _, r := range stored {
			l.missed(r, err)
		}
	}
}

// missed notes a letter that is not in the queue anew. If the others fare no better, no further letter is sent.
func (l *look) missed(r client.Received, err error) {
	if len(l.unsent) == 0 {
		l.why = err
	}
	l.unsent = append(l.unsent, plainLine(idOf(r)))
	for _, all := range []error{client.ErrGone, client.ErrUnknown, wire.ErrForbidden, wire.ErrNoQueue, errNotInTime, cmd.ErrDeliveryLost} {
		l.failed = l.failed || errors.Is(err, all)
	}
}

// unsentIDs names the first few letters that were missed.
func (l *look) unsentIDs() string {
	const most = 5
	if n := len(l.unsent); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(l.unsent[:most], ", "), n-most)
	}
	return strings.Join(l.unsent, ", ")
}
