package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A key is one key that a command or its Options take. Most keys of Options are named after a long flag of the docker CLI,
// in CamelCase. They take the values of that flag.
type key[T any] struct {
	name string
	form form
	help string // one line, for the manual

	// flags are the key's names in the docker CLI, the usual one first. One letter is a short flag.
	// nil means the name in kebab case; empty means that there is no flag.
	flags []string

	// set sets the value on the command. It gets the texts that the flag would have got, one for each use of the flag.
	// Its error says what was expected.
	set func(*T, []string) error
	// decode replaces set, which is then nil, for values that are more than texts.
	decode func(*T, json.RawMessage) error

	values []string // the values that set accepts, for the completion of the flag; nil: others too
}

func (k *key[T]) apply(c *T, v json.RawMessage) error {
	if k.decode != nil {
		return k.decode(c, v)
	}
	texts, err := k.form.texts(v)
	if err != nil {
		return err
	}
	return k.set(c, texts)
}

// as returns the key with a value of that form.
func (k key[T]) as(f form) key[T] {
	k.form = f
	return k
}

// called returns the key with these flags.
func (k key[T]) called(flags ...string) key[T] {
	k.flags = flags
	return k
}

// A form is the JSON type of a key's value, in the words of the manual.
type form string

const (
	formBool   form = "true or false"
	formText   form = "string"
	formNumber form = "number or string"                   // a string such as "512m"
	formList   form = "string or array of strings"         // one string is a list of one
	formPairs  form = "string, array of strings or object" // formList of NAME=VALUE, or an object of strings
	formArray  form = "array of strings"
	formWhole  form = "whole number"
	formOther  form = "object" // which the key's decode reads
)

// texts returns a value as the texts that a flag of the CLI would get.
func (f form) texts(v json.RawMessage) ([]string, error) {
	one := func(text string, err error) ([]string, error) { return []string{text}, err }
	switch is := kind(v); f {
	case formBool:
		if is != "a boolean" {
			return nil, wrongKind("true or false", v)
		}
		return one(strconv.FormatBool(v[0] == 't'), nil)
	case formNumber:
		switch is {
		case "a number":
			return one(string(v), nil)
		case "a string":
			return one(unquote(v))
		}
		return nil, wrongKind("a number or a string", v)
	case formList, formPairs:
		switch {
		case is == "a string":
			return one(unquote(v))
		case is == "an array":
			return decodeStrings(v)
		case f == formList:
			return nil, wrongKind("a string or an array of strings", v)
		case is == "an object":
			return decodePairs(v)
		}
		return nil, wrongKind("an object, an array of strings or a string", v)
	}
	return one(decodeString(v))
}

// decodePairs reads an object of strings as NAME=VALUE, in the object's order.
func decodePairs(v json.RawMessage) ([]string, error) {
	members, err := object(v)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(members))
	for i, m := range members {
		s, err := decodeString(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flagval.Quote(m.key), err)
		}
		list[i] = m.key + "=" + s
	}
	return list, nil
}

// The constructors of keys. field returns the place for the value.

// valueKey makes a key for a value, which parse reads from its text.
func valueKey[T, V any](form form, name, help string, field func(*T) *V, parse func(string) (V, error)) key[T] {
	return key[T]{name: name, form: form, help: help, set: func(c *T, v []string) (err error) {
		*field(c), err = parse(v[0])
		return err
	}}
}

// boolKey makes a key that is true or false.
func boolKey[T any](name, help string, field func(*T) *bool) key[T] {
	return valueKey(formBool, name, help, field, strconv.ParseBool)
}

// textKey makes a key whose value is a text that the checks accept.
func textKey[T any](name, help string, field func(*T) *string, checks ...func(string) error) key[T] {
	return valueKey(formText, name, help, field, checked(checks))
}

// numberKey makes a key for a number, which parse reads from its text.
func numberKey[T, N any](name, help string, field func(*T) *N, parse func(string) (N, error)) key[T] {
	return valueKey(formNumber, name, help, field, parse)
}

// listKey makes a key for a list of texts, each of which the checks may refuse.
func listKey[T any](name, help string, field func(*T) *[]string, checks ...func(string) error) key[T] {
	return itemsKey(name, help, field, checked(checks))
}

// checked makes a parser that returns any text which the checks accept.
func checked(checks []func(string) error) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, check := range checks {
			if err := check(s); err != nil {
				return "", err
			}
		}
		return s, nil
	}
}

// itemsKey makes a key for a list, each item of which parse reads from its text.
func itemsKey[T, I any](name, help string, field func(*T) *[]I, parse func(string) (I, error)) key[T] {
	return key[T]{name: name, form: formList, help: help, set: func(c *T, v []string) error {
		items := make([]I, 0, len(v))
		err := flagval.Each(v, func(s string) error {
			i, err := parse(s)
			items = append(items, i)
			return err
		})
		*field(c) = items
		return err
	}}
}

// pairsKey makes a key for a map, whose texts parse splits. The last of equal names wins, as with the CLI.
func pairsKey[T any](name, help string, field func(*T) *map[string]string, parse func(string) (k, v string, err error)) key[T] {
	return key[T]{name: name, form: formPairs, help: help, set: func(c *T, texts []string) error {
		m := make(map[string]string, len(texts))
		err := flagval.Each(texts, func(s string) error {
			k, v, err := parse(s)
			m[k] = v
			return err
		})
		*field(c) = m
		return err
	}}
}

// to makes parse return a pointer: nil is a value that was not given, unlike 0.
func to[N any](parse func(string) (N, error)) func(string) (*N, error) {
	return func(s string) (*N, error) {
		n, err := parse(s)
		return &n, err
	}
}

// parseInt returns a parser of whole numbers from least to most.
func parseInt[N int | int64 | uint16](least, most int64) func(string) (N, error) {
	return func(s string) (N, error) {
		n, err := strconv.ParseInt(s, 0, 64) // base 0 as in the CLI: 0x200 is a number too
		switch {
		case errors.Is(err, strconv.ErrSyntax):
			return 0, fmt.Errorf("expected a whole number, got %s", flagval.Quote(s))
		case err != nil || n < least || n > most:
			return 0, fmt.Errorf("expected a whole number from %d to %d, got %s", least, most, flagval.Quote(s))
		}
		return N(n), nil
	}
}

// parseSpan reads a duration above 0.
func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("expected a time such as \"90s\" or \"1h30m\", got %s", flagval.Quote(s))
	}
	return d, nil
}

// oneOf returns a check that refuses any text except the values.
func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(values, s) {
			return nil
		}
		return flagval.Unknown("value", s, values)
	}
}
