package ui

import (
	"flag"
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// dashed returns an option's name with its dashes.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// FlagError rewords an error of package flag. It parses the text, because that package has no error types.
func FlagError(fs *flag.FlagSet, err error) string {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		var known []string
		fs.VisitAll(func(f *flag.Flag) {
			if len(f.Name) > 1 {
				known = append(known, f.Name)
			}
		})
		text := "unknown option " + dashed(name)
		if near := flagval.Nearest(name, known); near != "" {
			text += "; did you mean " + dashed(near) + "?"
		}
		return text
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "option " + dashed(name) + " needs a value"
	}
	// Package flag words the error of a boolean option differently. The hint for numbers below must not follow it.
	if value, rest, ok := strings.Cut(strings.TrimPrefix(text, "invalid boolean value "), " for -"); ok && value != text {
		name, _, _ := strings.Cut(rest, ":")
		return fmt.Sprintf("invalid value %s for option %s: it takes none, or true or false", value, dashed(name))
	}
	if before, rest, ok := strings.Cut(text, " for flag -"); ok {
		name, after, _ := strings.Cut(rest, ":")
		text = before + " for option " + dashed(name) + ":" + after
	}
	if told, ok := strings.CutSuffix(text, ": parse error"); ok {
		if strings.HasSuffix(told, "-drain") || strings.HasSuffix(told, "-sweep-after") || strings.HasSuffix(told, "-timeout") {
			return told + ": expected a time such as 10s or 1h30m"
		}
		return told + ": expected a whole number"
	}
	return text
}
