package flagval

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Constraint is a condition on a host's labels.
type Constraint struct {
	Key, Value string
	Not        bool // the label must not have the value
}

// Holds reports whether a host with the labels meets the constraint. A label that it does not have has no value.
func (c Constraint) Holds(labels map[string]string) bool {
	value, ok := labels[c.Key]
	return (ok && value == c.Value) != c.Not
}

// String returns the constraint as ParseConstraint reads it.
func (c Constraint) String() string {
	if c.Not {
		return c.Key + "!=" + c.Value
	}
	return c.Key + "==" + c.Value
}

// maxConstraint bounds a constraint, in bytes.
const maxConstraint = 255

// ParseConstraint reads one --constraint, KEY==VALUE or KEY!=VALUE, with spaces as docker service takes them.
func ParseConstraint(s string) (c Constraint, err error) {
	if len(s) > maxConstraint {
		return c, fmt.Errorf("%s has %d bytes; at most %d are taken", Quote(s), len(s), maxConstraint)
	}
	key, value, ok := strings.Cut(s, "=")
	if key, c.Not = strings.CutSuffix(key, "!"); !c.Not && ok {
		value, ok = strings.CutPrefix(value, "=")
	}
	c.Key, c.Value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || !only(c.Key, word+".-") || c.Value == "" || !printable(c.Value) {
		return c, fmt.Errorf("expected KEY==VALUE or KEY!=VALUE, of a label of hosts, got %s", Quote(s))
	}
	return c, nil
}

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// maxHost is the longest name of a host, in bytes.
const maxHost = 63

// CheckHost refuses a text that cannot be the name of a host among those that share a queue.
func CheckHost(name string) error {
	if len(name) > maxHost || !framed(name, alnum, word+".-", word+".-") {
		return fmt.Errorf("expected the name of a host, 1 to %d letters, digits, _, . and -, the first a letter or digit, got %s", maxHost, Quote(name))
	}
	return nil
}
