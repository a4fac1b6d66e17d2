package message

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A Preset is an option that a policy gives to a run, a create or a pull, if the command has that option.
type Preset struct {
	Option string          // the key in Options
	Value  json.RawMessage // as a message would have it
	Unless []string        // further options, any of which in the message stands in place of this one
	Fixed  bool            // the message may not name the option: see [FixedError]
}

// A FixedError says that a message names an option which the policy sets.
type FixedError struct{ Option string }

func (e *FixedError) Error() string {
	return fmt.Sprintf("Options.%s: the policy sets this option; leave it out", e.Option)
}

// Check returns an error if no run can have the option with that value.
func (p Preset) Check() error {
	options := []member{{key: p.Option, value: p.Value}}
	return decodeKeys(new(Run), "run", []member{{key: "Options", members: options}}, runKeys, runOptions)
}

// withPresets returns the members of a message with those presets in its Options that the command takes, and that the message
// leaves out.
func withPresets(members []member, presets []Preset, keys []KeyDoc) ([]member, error) {
	if len(presets) == 0 {
		return members, nil
	}
	at := slices.IndexFunc(members, func(m member) bool { return m.key == "Options" })
	if at < 0 {
		at, members = len(members), append(members, member{key: "Options", value: json.RawMessage("{}")})
	}
	options, err := object(members[at].value)
	if err != nil {
		return nil, At("Options", err)
	}
	given := func(name string) bool {
		return slices.ContainsFunc(options, func(o member) bool { return o.key == name })
	}
	all := options
	for _, p := range presets {
		switch {
		case !slices.ContainsFunc(keys, func(k KeyDoc) bool { return k.Option && k.Name == p.Option }):
		case p.Fixed && given(p.Option):
			return nil, &FixedError{p.Option}
		case !given(p.Option) && !slices.ContainsFunc(p.Unless, given):
			all = append(all, member{key: p.Option, value: p.Value})
		}
	}
	members[at].members = all
	return members, nil
}

// Verbs returns the names of all commands.
func Verbs() (names []string) {
	for _, v := range verbs {
		names = append(names, v.Name)
	}
	return names
}
