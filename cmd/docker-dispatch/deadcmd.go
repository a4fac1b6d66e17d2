package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

const deadUsage = `docker-dispatch dead looks after dead letters: messages that a daemon could not carry out.

Usage:
  docker-dispatch dead list   -q QUEUE [options]
  docker-dispatch dead replay -q QUEUE [options] --all | ID...
  docker-dispatch dead drop   -q QUEUE [options] --all | ID...

list shows them, and leaves them where they are. replay puts them back onto the queue that
they came from; each leaves the dead letters only when the broker has stored it there. drop
deletes them for good. ID is what list shows first; it stands for all that have it. Those
shown as - have none: only --all takes them. --all are those that are there at the start,
and that no other consumer holds. Interrupted, replay and drop have lost nothing; a
message may then be on its queue and among the dead letters, and a daemon that gets it
from both knows it.

Options:
  -q, --queue NAME       the queue whose dead letters they are (required)
      --dead-letter NAME where they are (default: QUEUE.dead)
      --all              all of them
      --yes              drop without asking
      --format FORMAT    of list: text or json, one object a line (default text)
      --amqp URL         the broker (default: $AMQP_URL, else
                         amqp://guest:guest@localhost:5672/)
  -h, --help             print this

Exit codes: 0 done, 1 not all of it, 2 wrong usage or configuration.

Example: an option was mistyped; the right message was sent since, and the wrong one goes
  $ docker-dispatch dead list -q jobs
  ID    AGE  REASON           WHAT        ERROR
  job1  5s   invalid-message  run alpine  Options: unknown key "Memroy"; did you mean "Memory"?
  $ docker-dispatch dead drop -q jobs --yes job1
  1 message dropped from jobs.dead
`

// noneComes is how long no dead letter comes before the broker is asked whether there are more.
const noneComes = time.Second

// barren is how often in a row the broker may say that there are more, and send none: with another consumer, which may go
// first, and without one, when it is only slow.
const barren, barrenAlone = 5, 60

// A morgue is one use of dead.
type morgue struct {
	*broker
	verb     string
	from     string // the queue with the dead letters
	all, yes bool
	format   string
	ids      []string
}

// dead is the subcommand of that name.
func (p *invocation) dead() int { return p.end(deadUsage, p.deadLetters()) }

func (p *invocation) deadLetters() error {
	fs := flag.NewFlagSet(p.name, flag.ContinueOnError)
	m := &morgue{broker: p.broker(fs)}
	fs.StringVar(&m.from, "dead-letter", "", "")
	fs.BoolVar(&m.all, "all", false, "")
	fs.BoolVar(&m.yes, "yes", false, "")
	fs.StringVar(&m.format, "format", "text", "")
	rest, err := p.parse(fs)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		m.verb, m.ids = rest[0], rest[1:]
	}
	if err := m.validate(); err != nil {
		return err
	}
	ctx, now, stop := p.interrupts()
	defer stop()
	c, err := m.connect(ctx, m.from)
	if err != nil {
		return causeOr(ctx, err)
	}
	defer m.close(c)
	m.cutAt(now, c)
	switch m.verb {
	case "list":
		err = m.list(ctx, c)
	case "replay":
		err = m.replay(ctx, now, c)
	case "drop":
		err = m.drop(ctx, c)
	}
	return m.missing(causeOr(ctx, err))
}

func (m *morgue) validate() error {
	switch {
	case !slices.Contains([]string{"list", "replay", "drop"}, m.verb):
		if m.verb == "" {
			return usageError("dead wants to be told what to do: list, replay or drop", "docker-dispatch dead list -q QUEUE")
		}
		text := fmt.Sprintf("dead %s: not one of list, replay, drop", m.verb)
		if near := flagval.Nearest(m.verb, []string{"list", "replay", "drop"}); near != "" {
			text += "; did you mean " + near + "?"
		}
		return usageError(text, "docker-dispatch dead list -q QUEUE")
	case m.verb == "list" && (len(m.ids) > 0 || m.all || m.yes):
		return usageError("dead list takes neither IDs nor --all nor --yes; it shows all", m.process.listsOptions())
	case m.verb != "list" && m.all == (len(m.ids) > 0):
		return usageError("dead "+m.verb+" wants either IDs or --all", "docker-dispatch dead list -q QUEUE shows the IDs")
	case m.queue == "":
		return usageError("no queue given", "name it: docker-dispatch dead "+m.verb+" -q NAME ...")
	case m.format != "text" && m.format != "json":
		return usageError(fmt.Sprintf("--format %q: not one of text, json", m.format), m.process.listsOptions())
	}
	if err := m.check(); err != nil {
		return err
	}
	m.from = cmp.Or(m.from, m.queue+".dead")
	if m.from == m.queue {
		return usageError("--dead-letter "+m.from+" is the queue itself", "leave it out for QUEUE.dead")
	}
	if m.verb == "drop" && !m.yes && !isTerminal(m.process.stdin) {
		return usageError("dead drop deletes messages for good, and there is no terminal to ask on", "give --yes if that is meant")
	}
	return nil
}

// missing explains that there is no queue with dead letters.
func (m *morgue) missing(err error) error {
	if _, ok := errors.AsType[*hinted](err); ok || !errors.Is(err, wire.ErrNoQueue) {
		return m.explain(err)
	}
	return &hinted{err.Error(), "a daemon declares its dead-letter queue when it starts; --dead-letter NAME names one that is not called QUEUE.dead", exitFailed}
}

// idOf is what a dead letter is called: its message_id, else what the daemon has marked the copy with.
func idOf(r client.Received) string { return cmp.Or(cmd.JobID(r.ID), r.DeadLetter().Copy, "-") }

// namesOf are what an ID may be to mean a dead letter: its message_id, also as that is shown, and its mark.
func namesOf(r client.Received) (names []string) {
	for _, s := range []string{r.ID, cmd.JobID(r.ID), plainLine(cmd.JobID(r.ID)), r.DeadLetter().Copy} {
		if s != "" {
			names = append(names, s)
		}
	}
	return names
}

// count returns how many dead letters there are. It warns of those that it cannot know of. The broker counts an ended
// consumer for a moment after its end.
func (m *morgue) count(ctx context.Context, c *client.Client) (n int, err error) {
	tick := time.NewTicker(noneComes / 5)
	defer tick.Stop()
	var consumers int
	for again := 10; ; again-- {
		n, consumers, err = c.Ready(ctx, m.from)
		if err != nil || consumers == 0 || again == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	if consumers > 0 {
		fmt.Fprintf(m.process.stderr, "docker-dispatch: warning: %s has %s, such as another docker-dispatch dead; what it holds is not seen here\n",
			plainLine(m.from), counted(consumers, "consumer"))
	}
	return n, err
}

// each hands over the dead letters that are there at the start, in order, until one is an error or ctx ends.
// A *hinted error says that the broker holds some back.
func (m *morgue) each(ctx context.Context, c *client.Client, in <-chan client.Received, n int, do func(client.Received) error) error {
	timer := time.NewTimer(noneComes)
	defer timer.Stop()
	for got, none := 0, 0; got < n; {
		timer.Reset(noneComes)
		select {
		case r, ok := <-in:
			if !ok {
				if _, _, err := c.Ready(ctx, m.from); err != nil { // the queue is gone, or the connection
					return err
				}
				return fmt.Errorf("the broker has ended the consumer of %s", plainLine(m.from))
			}
			got, none = got+1, 0
			if err := do(r); err != nil {
				return err
			}
		case <-timer.C:
			// Another consumer may have taken some, or their time was over.
			left, consumers, err := c.Ready(ctx, m.from)
			if err != nil || left == 0 {
				return err
			}
			most, hint := barrenAlone, "it may be busy: try again later"
			if consumers > 1 {
				most, hint = barren, "it has a consumer that goes first"
			}
			if none++; none >= most {
				return &hinted{fmt.Sprintf("the broker sends no more of %s: %s came, and %d are still there", plainLine(m.from), counted(got, "message"), left), hint, exitFailed}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// list shows all dead letters. They stay, in order.
func (m *morgue) list(ctx context.Context, c *client.Client) error {
	n, err := m.count(ctx, c)
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintf(m.process.stderr, "docker-dispatch: no dead letters in %s\n", plainLine(m.from))
		return nil
	}
	var shown []letter
	looked, seen := 0, make(map[identity]bool)
	l := m.look(c)
	err = l.over(ctx, n, func(lot []client.Received) error {
		looked += len(lot)
		for _, r := range lot {
			id := identityOf(r)
			if id == (identity{}) || !seen[id] { // else a look that was killed has left it twice
				shown = append(shown, letterOf(r, time.Now()))
			}
			seen[id] = true
		}
		return nil
	})
	l.end()
	defer m.returned(ctx, l, looked) // so that the next look finds them
	if _, short := errors.AsType[*hinted](err); err != nil && !short {
		return err
	}
	if m.format == "json" {
		e := json.NewEncoder(m.process.stdout)
		e.SetEscapeHTML(false)
		for _, l := range shown {
			if err := e.Encode(l); err != nil {
				return err
			}
		}
	} else if len(shown) > 0 {
		w := tabwriter.NewWriter(m.process.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprint(w, "ID\tAGE\tREASON\tWHAT\tERROR\n")
		for _, l := range shown {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", plainLine(l.Id), l.age, cmp.Or(plainLine(l.Reason), "-"), plainLine(l.what()), cmp.Or(plainLine(l.Error), "-"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return err
}

// returned waits until the queue has so many messages back, or no more come. A quorum queue appends them to its
// log again, some while behind the end of their consumer, and any queue is slow with large ones; until then it looks empty.
func (m *morgue) returned(ctx context.Context, l *look, n int) {
	tick := time.NewTicker(noneComes / 10)
	defer tick.Stop()
	before := -1
	for same := 0; same < 10+l.bytes>>22; {
		ready, _, err := l.client.Ready(ctx, m.from)
		if err != nil || ready >= n {
			return
		}
		if same++; ready != before {
			before, same = ready, 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	fmt.Fprintf(m.process.stderr, "docker-dispatch: warning: of %s that were looked at the broker shows %d again; the others have been taken by somebody else, or come back later\n", counted(n, "dead letter"), before)
}

// A letter is what list shows of a dead letter.
type letter struct {
	Id      string
	Reason  string    `json:",omitempty"`
	Error   string    `json:",omitempty"`
	Time    time.Time `json:",omitzero"`
	Host    string    `json:",omitempty"`
	Queue   string    `json:",omitempty"`
	Copy    string    `json:",omitempty"`
	Command string    `json:"Dockercmd,omitempty"`
	Target  string    `json:",omitempty"` // the image, else the container
	Bytes   int       // of the body
	Body    string    `json:",omitempty"` // as far as it is needed to know the message: where there is no command in it

	age string
}

func letterOf(r client.Received, now time.Time) letter {
	d := r.DeadLetter()
	l := letter{
		Id: idOf(r), Reason: d.Reason, Error: d.Error, Time: d.Time, Host: d.Host, Queue: d.Queue, Copy: d.Copy,
		Bytes: len(r.Body), age: "-",
	}
	if !d.Time.IsZero() {
		l.age = ageText(now.Sub(d.Time))
	}
	// Not message.Decode: many are here because that refused them.
	var body struct {
		Dockercmd, Image, Container string
		Options                     struct{ Name string }
	}
	err := json.Unmarshal(r.Body, &body)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err == nil || ok {
		l.Command, l.Target = body.Dockercmd, cmp.Or(body.Image, body.Container)
	}
	if l.Command == "" {
		const most = 40
		l.Body = strings.ToValidUTF8(string(r.Body[:min(most, len(r.Body))]), "?")
		if len(r.Body) > most {
			l.Body += "..."
		}
	}
	return l
}

func (l letter) what() string {
	if l.Command == "" {
		return cmp.Or(l.Body, "(empty)")
	}
	return strings.TrimSpace(l.Command + " " + l.Target)
}

// ageText is a time in its largest unit.
func ageText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
}

// pick has do work on the chosen letters while it holds all. An ID that no letter has ends it before.
func (m *morgue) pick(ctx context.Context, c *client.Client, n int, do func([]client.Received) error) error {
	var chosen []client.Received
	for hold := false; ; hold = true {
		looked := 0
		chosen = nil
		found := make(map[string]bool)
		l := m.look(c)
		l.hold = hold
		err := l.over(ctx, n, func(lot []client.Received) error {
			looked += len(lot)
			for _, r := range lot {
				meant := false
				for _, name := range namesOf(r) {
					if slices.Contains(m.ids, name) {
						meant, found[name] = true, true
					}
				}
				if meant {
					chosen = append(chosen, r)
				}
			}
			return nil
		})
		for _, id := range m.ids {
			if err == nil && !found[id] {
				err = &hinted{fmt.Sprintf("no dead letter in %s has the ID %s; nothing was done", plainLine(m.from), plainLine(id)),
					"docker-dispatch dead list -q " + m.queue + " shows the IDs", exitFailed}
			}
		}
		renewed := slices.ContainsFunc(chosen, client.Received.Settled)
		n = looked
		if err == nil && !renewed {
			err = do(chosen)
			for _, r := range chosen {
				if r.Settled() {
					n--
				}
			}
		}
		l.end()
		m.returned(ctx, l, n)
		if err != nil || !renewed {
			return err
		}
		// All are in the queue anew, and can be returned once more; others may have come before them.
		if n, _, err = c.Ready(ctx, m.from); err != nil {
			return err
		}
	}
}

// replay sends the chosen ones to their queue, and acks each when the broker has stored it there.
func (m *morgue) replay(ctx, now context.Context, c *client.Client) error {
	n, err := m.count(ctx, c)
	if err != nil {
		return err
	}
	r := &replaying{morgue: m, client: c, now: now}
	send := func(letters []client.Received) error { return r.send(ctx, letters) }
	if m.all {
		// What is replayed may come back dead at once; n keeps that from going round.
		l := m.look(c)
		err = l.over(ctx, n, send)
		l.end()
	} else {
		err = m.pick(ctx, c, n, send)
	}
	if r.replayed > 0 || err == nil {
		fmt.Fprintf(m.process.stdout, "%s put back\n", counted(r.replayed, "message"))
	}
	if n := r.failed; n > 0 && (err == nil || err == errTooMany) {
		err = &hinted{fmt.Sprintf("%s not put back; they are still in %s", counted(n, "message"), plainLine(m.from)), "mend what is wrong, and replay again", exitFailed}
	}
	return err
}

// A replaying is a replay at work.
type replaying struct {
	*morgue
	client           *client.Client
	now              context.Context
	replayed, failed int
}

// tooMany is how many may fail before no more are tried.
const tooMany = 100

var errTooMany = errors.New("too many could not be put back")

// send sends dead letters to where they came from, and acks those that the broker has stored there.
func (r *replaying) send(ctx context.Context, letters []client.Received) (err error) {
	type revived struct {
		client.Received
		to        string
		confirmed func(context.Context) error
	}
	var sent []revived
	for _, l := range letters {
		to := cmp.Or(l.DeadLetter().Queue, r.queue)
		if to == r.from {
			to = r.queue
		}
		confirmed, failed := r.client.Send(ctx, to, l.Revived())
		if err = causeOr(ctx, nil); failed != nil && err == nil && errors.Is(failed, client.ErrGone) {
			err = failed
		}
		if failed != nil {
			confirmed = func(context.Context) error { return failed }
		}
		if failed == nil || err == nil {
			sent = append(sent, revived{l, to, confirmed})
		}
		if err != nil {
			break
		}
	}
	for lot := range slices.Chunk(sent, lotSize) { // one by one they cost more acks than a channel has on its way at a time
		var stored []client.Received
		why := make([]error, len(lot))
		for i, v := range lot {
			if why[i] = v.confirmed(r.now); why[i] == nil {
				stored = append(stored, v.Received)
			} else if r.now.Err() != nil {
				why[i] = fmt.Errorf("%w: not waited for any longer", client.ErrUnknown)
			}
		}
		lost := client.AckAll(stored)
		for i, v := range lot {
			if why[i] == nil && lost == nil {
				r.replayed++
				continue
			}
			if why[i] == nil {
				why[i] = fmt.Errorf("it is in %s, and still here too: %w", v.to, lost)
			}
			r.failed++
			fmt.Fprintf(r.process.stderr, "%s: not put back onto %s: %s\n", plainLine(idOf(v.Received)), plainLine(v.to), plainLine(why[i].Error()))
		}
	}
	if err == nil && r.failed >= tooMany {
		err = errTooMany
	}
	return err
}

// drop deletes the chosen ones.
func (m *morgue) drop(ctx context.Context, c *client.Client) error {
	n, err := m.count(ctx, c)
	if err != nil {
		return err
	}
	dropped := 0
	ack := func(letters []client.Received) error {
		err := cmp.Or(causeOr(ctx, nil), client.AckAll(letters))
		if err == nil {
			dropped += len(letters)
		}
		return err
	}
	if m.all {
		if n > 0 {
			if err := m.ask(ctx, n); err != nil {
				return err
			}
			l := m.look(c)
			err = l.over(ctx, n, ack)
			l.end()
		}
	} else {
		err = m.pick(ctx, c, n, func(chosen []client.Received) error {
			if err := m.ask(ctx, len(chosen)); err != nil {
				return err
			}
			return ack(chosen)
		})
	}
	if dropped > 0 || err == nil {
		fmt.Fprintf(m.process.stdout, "%s dropped from %s\n", counted(dropped, "message"), plainLine(m.from))
	}
	return err
}

// ask asks whether that many are to be deleted.
func (m *morgue) ask(ctx context.Context, n int) error {
	if m.yes {
		return nil
	}
	fmt.Fprintf(m.process.stderr, "drop %s from %s for good? [y/N] ", counted(n, "message"), plainLine(m.from))
	answer := make(chan string, 1)
	go func() { // a read of stdin cannot be interrupted: this may stay behind, until the program ends
		line, _ := bufio.NewReader(m.process.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return &hinted{"nothing was dropped", "answer y to drop, or give --yes", exitFailed}
	case <-ctx.Done():
		fmt.Fprintln(m.process.stderr)
		return context.Cause(ctx)
	}
}
