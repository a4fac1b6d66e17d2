package client

import (
	"context"
	"fmt"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

const checkUsage = `docker-dispatch check says offline whether messages are valid: whether a daemon with the
same policy would take them. What only the engine knows, such as whether an image
exists, shows when they run.

Usage:
  docker-dispatch check [options] [FILE...]

The files hold one JSON object after another; without a file, and for -, stdin is read.

Options:
      --policy FILE        the daemon's policy (default: the built-in one)
      --user NAME          the messages' user_id, for policies with parts for users
      --max-message SIZE   the largest message that the daemon reads (default 1m)
      --reply QUEUE        their reply_to. A run then lasts until its container has exited
      --replies            the same, for a reply_to that is not known
  -h, --help               print this

DOCKER_DISPATCH_POLICY is --policy, and so on: docker-dispatch help options has the rule.
There is one line on stdout for each fault: the file, the message's number in it, and
what is wrong. Exit codes: 0 all are valid, 1 some are not, 2 wrong usage.

Example:
  $ echo '{"Dockercmd": "run", "Image": "alpine", "Options": {"Memroy": "64m"}}' |
    docker-dispatch check
  stdin:1: Options: unknown key "Memroy"; did you mean "Memory"?
  docker-dispatch: 1 message checked, 1 fault
`

// check is the subcommand check.
func check(p *subcommand.Invocation) error {
	o := p.Options
	policyFile, user, replyTo, limit, replies := "", "", "", ui.Size(1<<20), false
	o.StringVar(&policyFile, "policy", "", "FILE")
	o.StringVar(&user, "user", "", "")
	o.StringVar(&replyTo, "reply", "", "")
	o.BoolVar(&replies, "replies", false, "")
	o.Var(&limit, "max-message", "")
	o.Files = true
	files, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if limit < 1 {
		return ui.UsageError("--max-message must be at least 1 byte", "leave it out for 1m")
	}
	rules, err := LoadPolicy(policyFile)
	if err != nil {
		return err
	}
	ctx, _, stop := p.Interrupts()
	defer stop()
	messages, err := messageFiles(ctx, p, files, int(limit))
	if err != nil {
		return err
	}
	checked, faults := 0, 0
	for {
		select {
		case m, ok := <-messages:
			switch {
			case !ok:
				fmt.Fprintf(p.Stderr, "docker-dispatch: %s checked, %s\n", ui.Counted(checked, "message"), ui.Counted(faults, "fault"))
				if faults > 0 {
					return ui.ErrSomeFailed
				}
				return nil
			case m.err != nil:
				return fmt.Errorf("%s: %w", m.file, m.err)
			}
			checked++
			if _, err := policy.Check(m.body, int(limit), policy.Sender{ReplyTo: replyTo, Replies: replies || replyTo != ""}, rules.For(user)); err != nil {
				faults++
				if _, err := fmt.Fprintln(p.Stdout, ui.PlainLine(fmt.Sprintf("%s: %v", m, err))); err != nil {
					return err // stdout is closed or full: the next line would fail too
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// LoadPolicy reads a policy file. Without a file it returns nil, which is the built-in policy.
func LoadPolicy(file string) (*policy.Policy, error) {
	if file == "" {
		return nil, nil
	}
	p, err := policy.Load(file)
	if err != nil {
		return nil, ui.UsageError("--policy: "+err.Error(), "docker-dispatch help policy has the keys, and three examples")
	}
	return p, nil
}
