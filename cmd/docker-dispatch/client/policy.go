package client

import (
	_ "embed"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

//go:embed policy.txt
var policyUsage string

// explain is the subcommand policy.
func explain(p *subcommand.Invocation) error {
	o := p.Options
	o.Verbs, o.Files = []string{"explain"}, true
	args, err := o.Parse(p.Args, p.Getenv)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] != "explain" || len(args) > 2 {
		return ui.UsageError("expected: docker-dispatch policy explain [FILE]", p.Options.Hint())
	}
	file := ""
	if len(args) == 2 {
		file = args[1]
	}
	rules, err := LoadPolicy("policy explain", file)
	if err != nil {
		return err
	}
	return rules.Explain(p.Stdout)
}
