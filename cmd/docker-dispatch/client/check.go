package client

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

//go:embed check.txt
var checkUsage string

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
	rules, err := LoadPolicy("--policy", policyFile)
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

// LoadPolicy reads a policy file. Without a file it returns nil, which is the built-in policy. Its error names what named the file.
func LoadPolicy(what, file string) (*policy.Policy, error) {
	if file == "" {
		return nil, nil
	}
	p, err := policy.Load(file)
	if err != nil {
		return nil, ui.UsageError(what+": "+err.Error(), "docker-dispatch help policy has the keys, and three examples")
	}
	return p, nil
}
