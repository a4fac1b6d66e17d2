package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// A Policy has the rules for all users. The nil Policy is the built-in one.
type Policy struct {
	rest  Rules             // for messages of no user, and of a user who is not named
	users map[string]*Rules // by the user_id that the broker has verified
}

// For returns the rules for the messages of a user; "" is none.
func (p *Policy) For(user string) *Rules {
	if p == nil {
		return new(Rules)
	}
	if r, ok := p.users[user]; ok {
		return r
	}
	return &p.rest
}

// Rules say what messages may ask for. Publishers command the engine, and the engine is root on its host. So what hands over
// the host is denied unless the operator allows it. The zero Rules are the built-in ones.
type Rules struct {
	Trust bool   // everything is allowed: publishers own the host anyway
	user  string // whose rules they are, for errors

	allow, deny map[string][]pattern // by key; a key that allow names replaces the built-in rule
	ceilings    ceilings
	options     []message.Preset // from Default and Fixed
	presets     []message.Preset // options, and those that keep a run below the ceilings

	// containers are those that commands may reach: "" those that messages of the same queue made, ofUser those that messages
	// of the same queue and user made, anyContainer all. Else also those with the label, NAME or NAME=VALUE.
	containers string
}

// Values of containers.
const (
	anyContainer = "any"
	ofUser       = "user"
)

// OwnUserOnly reports whether commands may reach only containers that messages of their user made.
func (r *Rules) OwnUserOnly() bool { return !r.Trust && r.containers == ofUser }

// A Sender is what the policy has to know of a message's publisher.
type Sender struct {
	ReplyTo string // the queue for the result, if it is known
	Replies bool   // the publisher asked for the result
}

// Check decodes a message as the daemon does. Its error is why the daemon would refuse the message: that of Decode, or a
// [*DeniedError]. The daemon refuses more when it knows the message's queue and the engine's answers.
// The command is nil if the message could not be decoded.
func Check(body []byte, limit int, from Sender, r *Rules) (message.Command, error) {
	if most := r.ceilings["Message"].most; most > 0 && (limit == 0 || most < int64(limit)) && int64(len(body)) > most {
		return nil, &DeniedError{Err: fmt.Errorf("the message has %d bytes", len(body)), Why: r.says("Max.Message", r.ceilings["Message"].text)}
	}
	c, err := message.Decode(body, limit, from.Replies, r.presets...)
	if fixed, ok := errors.AsType[*message.FixedError](err); ok {
		return nil, &DeniedError{Err: fmt.Errorf("Options.%s", fixed.Option), Why: r.says("Fixed."+fixed.Option, "") + "; leave it out"}
	}
	if err != nil {
		return nil, err
	}
	return c, r.check(c, from)
}

// check returns a *DeniedError for the first of what a command asks for that the rules deny, or nil.
func (r *Rules) check(c message.Command, from Sender) error {
	if r.Trust {
		return nil
	}
	for _, a := range asks(c, from) {
		if err := r.judge(a); err != nil {
			return err
		}
	}
	return r.ceilings.check(c, r)
}

// A DeniedError is why the policy forbids a message.
type DeniedError struct {
	Err error  // what is denied
	Why string // a clause such as "because ..."
}

func (e *DeniedError) Error() string { return fmt.Sprintf("%v: denied, %s", e.Err, e.Why) }

func (e *DeniedError) Unwrap() error { return e.Err }

// Because says why the built-in policy denies something, and which key of a policy's file can allow it.
func Because(why, key string) string {
	return fmt.Sprintf("because %s; the daemon's operator can allow it, by %s in the file of --policy", why, key)
}

// judge returns a *DeniedError if the rules deny what is asked for.
func (r *Rules) judge(a ask) error {
	denied := func(why string) error { return &DeniedError{Err: a.named(), Why: why} }
	for _, p := range r.deny[a.key] {
		if p.matches(a.value) {
			return denied(r.says("Deny."+a.key, p.text))
		}
	}
	switch allowed, named := r.allow[a.key]; {
	case named && !anyMatches(allowed, a.value):
		return denied(r.says("Allow."+a.key, "") + ", which does not have that value")
	case !named && a.why != "":
		return denied(Because("it "+a.why, "Allow."+a.key))
	}
	return nil
}

// says names a rule of the policy's file, with its value unless that is empty.
func (r *Rules) says(rule, value string) string {
	text := "by " + rule
	if value != "" {
		text += fmt.Sprintf(" (%s)", value)
	}
	text += " of the daemon's policy"
	if r.user != "" {
		text += " for the user " + r.user
	}
	return text
}

// AllowsContainer returns an error unless commands may reach a container that no message of their queue made.
// what is the command and the container as the message names it.
func (r *Rules) AllowsContainer(labels map[string]string, what error) error {
	if r.Trust || r.containers == anyContainer || r.containers != "" && r.containers != ofUser && labelled(labels, r.containers) {
		return nil
	}
	why := "no message of this queue has made it"
	if r.OwnUserOnly() {
		why = "no message of this queue and of the same user has made it"
	}
	return &DeniedError{what, Because(why, "Containers")}
}

// Lists reports whether the operator has allowed a value by name, whatever the built-in policy says of that key.
func (r *Rules) Lists(key, value string) bool {
	return r.Trust || anyMatches(r.allow[key], value)
}

// ListsNetwork reports whether the operator has allowed a network's id by name, and has not denied the network's name.
func (r *Rules) ListsNetwork(id, name string) bool {
	return r.Lists("Network", id) && !anyMatches(r.deny["Network"], canonicalNetwork(name))
}

// Timeout returns the lower of the daemon's time limit for a run and the policy's; 0: none.
func (r *Rules) Timeout(daemon time.Duration) time.Duration {
	if most := time.Duration(r.ceilings["Timeout"].most); most > 0 && (daemon == 0 || most < daemon) {
		return most
	}
	return daemon
}

// Output returns how many bytes a run may write, if its output is read; 0: any number.
func (r *Rules) Output() int64 { return r.ceilings["Output"].most }

// Jobs returns how many runs and execs of one user may be under way at a time; 0: any number.
func (r *Rules) Jobs() int { return int(r.ceilings["Jobs"].most) }

// AllowsReply returns a *DeniedError if no result may go to that queue.
func (r *Rules) AllowsReply(queue string) error {
	if r.Trust {
		return nil
	}
	return r.judge(replyAsk(queue))
}
