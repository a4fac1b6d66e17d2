package ui

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// dashed returns an option's name with its dashes.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// flagError rewords an error of package flag. It parses the text, because that package has no error types.
func flagError(fs *flag.FlagSet, err error) string {
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
	const before = " for flag -"
	if i := strings.LastIndex(text, before); i >= 0 { // the value is before it, and may hold the same words
		name, why, _ := strings.Cut(text[i+len(before):], ": ")
		if f := fs.Lookup(name); f != nil {
			return text[:i] + " for option " + dashed(name) + ": " + expected(f.Value, errors.New(why))
		}
	}
	return text
}

// expected rewords an error that a value of package flag returned from Set.
func expected(value flag.Value, err error) string {
	g, ok := value.(flag.Getter)
	if !ok || err.Error() != "parse error" {
		return err.Error()
	}
	switch g.Get().(type) {
	case time.Duration:
		return "expected a time such as 10s or 1h30m"
	case bool:
		return "expected true or false"
	}
	return "expected a whole number"
}
