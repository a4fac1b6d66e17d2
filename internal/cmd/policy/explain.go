package policy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Explain writes what a policy amounts to, for a person: first the rules for all, then those of each user, whole.
// p may be nil.
func (p *Policy) Explain(w io.Writer) error {
	var b strings.Builder
	p.For("").explain(&b, "all messages")
	if p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.users)) {
			b.WriteString("\n")
			r := p.users[name]
			r.explain(&b, "messages whose user_id is "+name)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Rules) explain(b *strings.Builder, whose string) {
	fmt.Fprintf(b, "For %s:\n", whose)
	if r.Trust {
		b.WriteString("  everything is allowed (Trust)\n")
		r.explainPresets(b)
		return
	}
	var builtin []string
	for _, k := range keys {
		patterns, named := r.allow[k.Name]
		denied := ""
		if d := r.deny[k.Name]; len(d) > 0 {
			denied = "; not " + texts(d)
		}
		switch {
		case !named && denied == "":
			builtin = append(builtin, k.Name)
			continue
		case !named:
			fmt.Fprintf(b, "  %s: as built in%s\n", k.Name, denied)
		case len(patterns) == 0:
			fmt.Fprintf(b, "  %s: nothing\n", k.Name)
		default:
			fmt.Fprintf(b, "  %s: only %s%s\n", k.Name, texts(patterns), denied)
		}
	}
	switch r.containers {
	case "":
		b.WriteString("  Containers: only those that messages of the same queue made\n")
	case ofUser:
		b.WriteString("  Containers: only those that messages of the same queue and user made\n")
	case anyContainer:
		b.WriteString("  Containers: all of the engine\n")
	default:
		fmt.Fprintf(b, "  Containers: those that messages of the same queue made, and those with the label %s\n", r.containers)
	}
	for _, l := range limits {
		if text := r.ceilings[l.name].text; text != "" {
			fmt.Fprintf(b, "  at most: %s %s\n", l.name, text)
		}
	}
	r.explainPresets(b)
	fmt.Fprintf(b, "  as built in (docker-dispatch help policy): %s\n", strings.Join(builtin, " "))
}

func (r *Rules) explainPresets(b *strings.Builder) {
	for _, p := range r.presets {
		how := "a run that leaves it out gets"
		if p.Fixed {
			how = "each run has"
		}
		fmt.Fprintf(b, "  %s: %s %s\n", p.Option, how, p.Value)
	}
}

func texts(list []pattern) string {
	var names []string
	for _, p := range list {
		names = append(names, p.text)
	}
	return strings.Join(names, ", ")
}
