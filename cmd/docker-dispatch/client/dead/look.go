package dead

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

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A look is one pass over the dead letters, lot by lot.
//
// A quorum queue counts how often each letter was returned. It drops a letter above its delivery limit, which a client
// cannot read. So a look holds letters that were never returned, and returns them at its end. It renews a letter that was
// returned before: it stores a copy in the queue, then acks the original. To keep the order it renews all letters after
// that one too. A killed look returns one lot of such letters, some of them beside their copies.
type look struct {
	*morgue
	client *client.Client
	hold   bool // no letter is renewed

	id       string   // of this look; its copies carry it
	stop     func()   // ends the consumer of the last lot
	giveBack []func() // for each lot that is held
	copies   int      // copies of this look that were stored in time, less those delivered
	letters  int      // delivered so far
	bytes    int      // size of their bodies
	begun    bool     // letters are renewed from here on
	failed   bool     // no more letters can be renewed
	unsent   []string // IDs of letters that could not be renewed
	why      error    // the error of the first letter in unsent
}

const (
	// A look takes firstLot letters, then twice as many each time. The limit is lotSize if it renews them, else mostLot.
	// Lots that are held are large, because each has its own channel. But the bodies of a lot are in memory: if later letters
	// are as large as those before, they have at most lotBytes.
	firstLot = 16
	lotSize  = 256
	mostLot  = 65535
	lotBytes = 64 << 20

	// renewBytes is how many bytes of bodies are copied before the originals are acked.
	renewBytes = 16 << 20

	// renewTime is how long the broker may take to store those copies.
	renewTime = 30 * time.Second
)

var errNotInTime = fmt.Errorf("not stored within %v", renewTime)

func (m *morgue) look(c *client.Client) *look {
	return &look{morgue: m, client: c, id: rand.Text(), stop: func() {}}
}

// An identity distinguishes a letter from all others, except from its own copies.
type identity [sha256.Size]byte

// identityOf returns the identity of r. It is zero if r has no mark by which its copies could be recognized.
func identityOf(r client.Received) (id identity) {
	if mark := r.DeadLetter().Copy; mark != "" {
		h := sha256.New()
		fmt.Fprintf(h, "%q %q ", mark, r.ID) // not the mark alone: a publisher can set another letter's mark
		h.Write(r.Body)
		h.Sum(id[:0])
	}
	return id
}

// over calls do with n letters in order, lot by lot. A letter that do does not ack stays in the queue. A signal ends the
// look between two lots only: within a lot it would return letters. The caller must call end.
func (l *look) over(ctx context.Context, n int, do func(lot []client.Received) error) error {
	// The first lots are small: they hold what a killed look returned, which may be at the delivery limit.
	overtaken := false
	for size := firstLot; n > 0; {
		lot := min(n, size)
		if overtaken { // letters may follow after all our copies
			lot = min(n+max(0, l.copies), size) // negative if copies came that were not confirmed in time
		}
		took, own, err := l.lot(ctx, lot, do)
		if err = cmp.Or(err, subcommand.CauseOr(ctx, nil)); err != nil || took < lot {
			return err
		}
		n -= took - own
		l.copies -= own
		overtaken = overtaken || own > 0 // copies came early: by priority, or another consumer took letters
		size = l.next(lot)
	}
	return nil
}

// next returns how many letters to take after a lot of that many.
func (l *look) next(lot int) int {
	size := min(2*lot, mostLot)
	if l.begun && !l.failed {
		size = min(size, lotSize)
	}
	mean := max(1, l.bytes/max(1, l.letters))
	return max(1, min(size, lotBytes/mean))
}

// lot takes the next n letters and calls do with them. It leaves out copies that this look stored, and returns their number
// as own.
// lot acks no letter because another one looks the same: it may be the last copy.
func (l *look) lot(ctx context.Context, n int, do func([]client.Received) error) (took, own int, err error) {
	l.stop() // only now: until then the consumer shows other clients that letters are held
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
		l.letters, l.bytes = l.letters+1, l.bytes+len(r.Body)
		if d.Look == l.id {
			own++
			return nil
		}
		l.begun = l.begun || d.Looks > 0 && !l.hold
		lot = append(lot, r)
		return nil
	})
	if len(all) < n { // else the consumer would also get the copies stored below
		stop()
		for range in {
		}
	}
	if _, heldBack := errors.AsType[*ui.Hinted](err); err == nil || heldBack { // else the broker has requeued them
		err = cmp.Or(do(lot), err)
		if l.begun && !errors.Is(err, intake.ErrDeliveryLost) {
			l.renew(ctx, lot)
		}
	}
	if slices.ContainsFunc(all, func(r client.Received) bool { return !r.Settled() }) {
		l.giveBack = append(l.giveBack, giveBack)
	} else {
		go giveBack() // Close waits for it
	}
	return len(all), own, err
}

// end returns the held letters in order. It warns of letters that could not be renewed.
func (l *look) end() {
	l.stop()
	for _, giveBack := range l.giveBack {
		giveBack()
	}
	l.giveBack = nil
	if len(l.unsent) > 0 {
		fmt.Fprintf(l.Process.Stderr, "docker-dispatch: warning: dead letters could not be put into %s anew: %s: %s; the broker counts each look at them, "+
			"and drops a message at the queue's delivery limit (20 since RabbitMQ 4.0, where nothing else is set): set that to -1 by a policy\n",
			ui.PlainLine(l.from), l.unsentIDs(), ui.PlainLine(l.why.Error()))
		l.unsent = nil
	}
}

// renew renews letters. It does not ack a letter whose copy may not be stored.
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
	// A signal does not end this: the outcome of copies already sent must be known.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), renewTime, errNotInTime)
	defer cancel()
	known := 0
	err := forward(ctx, ctx, l.client, letters, func(r client.Received) (string, client.Message) { return l.from, r.Anew(l.id) },
		func(r client.Received, _ string, why error) {
			known++
			if why == nil || errors.Is(why, intake.ErrDeliveryLost) { // then the copy is stored all the same
				l.copies++
			}
			if why != nil {
				l.missed(r, subcommand.CauseOr(ctx, why))
			}
		})
	if err != nil && known < len(letters) {
		l.missed(letters[known], err)
	}
}

// missed records a letter that was not renewed. If err would hit all other letters too, no more are renewed.
func (l *look) missed(r client.Received, err error) {
	if len(l.unsent) == 0 {
		l.why = err
	}
	l.unsent = append(l.unsent, ui.PlainLine(idOf(r)))
	for _, all := range []error{client.ErrGone, client.ErrUnknown, wire.ErrForbidden, wire.ErrNoQueue, errNotInTime, intake.ErrDeliveryLost} {
		l.failed = l.failed || errors.Is(err, all)
	}
}

// unsentIDs lists the first few IDs of unsent, and counts the rest.
func (l *look) unsentIDs() string {
	const most = 5
	if n := len(l.unsent); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(l.unsent[:most], ", "), n-most)
	}
	return strings.Join(l.unsent, ", ")
}
