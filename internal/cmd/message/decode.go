package message

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A Command is a decoded message: *Run, *Stop and so on.
type Command interface {
	Traits() Traits
	// Target returns the container that the command names, or "" if it names none.
	Target() string
}

// streamKey makes the key that asks for the output as it comes.
func streamKey[T any](field func(*T) *bool) key[T] {
	return boolKey("Stream", "send the output to the message's reply_to as it comes, see [answers](events.md#answers-reply_to)", field)
}

// commandKey is the key that names the command.
const commandKey = "Dockercmd"

// meansCommand reports whether an unknown key was most likely meant to be commandKey.
func meansCommand(key string) bool {
	return flagval.Nearest(key, []string{commandKey, "Command"}) != ""
}

// A verb is one value of the message's Dockercmd key. decode gets the message's other members.
type verb struct {
	CommandDoc
	decode func(members []member) (Command, error)
}

var verbs = []verb{
	command("run", runKeys, runOptions, finishRun),
	command("create", imageKeys, containerOptions, finishCreate),
	onContainer[Start]("start", nil, nil),
	onContainer("stop", nil, stopOptions(func(s *Stop) *Stop { return s })),
	onContainer("restart", nil, stopOptions(func(r *Restart) *Stop { return (*Stop)(r) })),
	onContainer("kill", nil, killOptions),
	onContainer[Pause]("pause", nil, nil),
	onContainer[Unpause]("unpause", nil, nil),
	onContainer("rename", renameKeys, nil, checkRename),
	onContainer("remove", nil, removeOptions).or("rm"),
	onContainer[Wait]("wait", nil, nil),
	onContainer("logs", logsKeys, logsOptions),
	onContainer[Inspect]("inspect", nil, nil),
	onContainer("exec", execKeys, execOptions, checkExec),
	command("pull", pullKeys, pullOptions, finishPull),
}

// command makes the row of a command whose keys are set on a T. finish refuses what is not complete.
func command[T any](name string, keys, options []key[T], finish func(*T) (Command, error)) verb {
	doc := CommandDoc{Name: name, Keys: append(keyDocs(keys, false), keyDocs(options, true)...)}
	return verb{doc, func(members []member) (Command, error) {
		c := new(T)
		if err := decodeKeys(c, name, members, keys, options); err != nil {
			return nil, err
		}
		return finish(c)
	}}
}

func keyDocs[T any](keys []key[T], option bool) (docs []KeyDoc) {
	for _, k := range keys {
		docs = append(docs, KeyDoc{k.name, option, string(k.form), k.help})
	}
	return docs
}

func (v verb) or(alias string) verb {
	v.Alias = alias
	return v
}

// A CommandDoc describes a command, for the manual.
type CommandDoc struct {
	Name, Alias string
	Keys        []KeyDoc
}

// A KeyDoc describes a key of a command.
type KeyDoc struct {
	Name   string
	Option bool   // it is a key of Options
	Value  string // the value's type in JSON, for the manual
	Help   string // Markdown, one line
}

// Docs describes all commands, for the manual.
func Docs() (docs []CommandDoc) {
	for _, v := range verbs {
		docs = append(docs, v.CommandDoc)
	}
	return docs
}

// Decode reads one message, strictly: an unknown, duplicate or misplaced key, a value of a wrong type and anything after the
// object are errors. An error says where it is, what was expected, and the nearest known key if there is one.
// A body longer than limit bytes is not read; 0 means no limit.
// replies says that the publisher asked for the result: then a run lasts until its container has exited.
// A run, a create and a pull get the presets.
func Decode(body []byte, limit int, replies bool, presets ...Preset) (Command, error) {
	if limit > 0 && len(body) > limit {
		return nil, fmt.Errorf("the message is larger than the %d bytes that are read (--max-message)", limit)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New(`the message is empty; expected a JSON object such as {"Dockercmd": "run", "Image": "busybox"}`)
	}
	if err := CheckJSON(body); err != nil {
		return nil, err
	}
	members, err := object(body)
	if err != nil {
		return nil, err
	}

	i := slices.IndexFunc(members, func(m member) bool { return m.key == commandKey })
	if i < 0 {
		for _, m := range members {
			if meansCommand(m.key) {
				return nil, fmt.Errorf("unknown key %s; did you mean %q?", flagval.Quote(m.key), commandKey)
			}
		}
		return nil, fmt.Errorf("key %q is missing; it says what to do: %s", commandKey, flagval.List(verbNames(), "or"))
	}
	name, err := decodeString(members[i].value)
	if err != nil {
		return nil, At(commandKey, err)
	}
	for _, v := range verbs {
		if name != "" && (name == v.Name || name == v.Alias) {
			members = slices.Delete(members, i, i+1)
			if v.Name == "run" || v.Name == "create" || v.Name == "pull" {
				if members, err = withPresets(members, presets, v.Keys); err != nil {
					return nil, err
				}
			}
			c, err := v.decode(members)
			if r, ok := c.(*Run); ok {
				r.replies = replies
				if err := r.checkForeground(); err != nil {
					return nil, err
				}
			}
			return c, err
		}
	}
	return nil, At(commandKey, flagval.Unknown("command", name, verbNames()))
}

// verbNames returns the names and aliases of all commands.
func verbNames() (names []string) {
	for _, v := range verbs {
		names = append(names, v.Name)
		if v.Alias != "" {
			names = append(names, v.Alias)
		}
	}
	return names
}

// decodeKeys sets the members on c. top and options are the keys that the command takes.
func decodeKeys[T any](c *T, verb string, members []member, top, options []key[T]) error {
	for i, m := range members {
		if m.key != "Options" {
			if err := setKeys(c, "", members[i:i+1], top, func(name string) error {
				return unknownKey(name, verb, keyNames(top), keyNames(options))
			}); err != nil {
				return err
			}
			continue
		}
		opts, err := m.object()
		if err != nil {
			return At("Options", err)
		}
		if err := setKeys(c, "Options.", opts, options, func(name string) error {
			return At("Options", unknownOption(name, verb, keyNames(top), keyNames(options)))
		}); err != nil {
			return err
		}
	}
	return nil
}

// setKeys sets the members on c. An error has the prefix and the key in front, unless it is that of unknown.
func setKeys[T any](c *T, prefix string, members []member, keys []key[T], unknown func(name string) error) error {
	for _, m := range members {
		k := find(keys, m.key)
		if k == nil {
			return unknown(m.key)
		}
		if err := k.apply(c, m.value); err != nil {
			return At(prefix+m.key, err)
		}
	}
	return nil
}

// At returns err with the key in front of it.
func At(key string, err error) error { return fmt.Errorf("%s: %w", key, err) }

// find returns the key of that name, or nil if there is none.
func find[T any](keys []key[T], name string) *key[T] {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// unknownKey returns the error for a key that is none of top, the names of the command's keys.
func unknownKey(name, verb string, top, options []string) error {
	top = append(top, "Options")
	near := flagval.Nearest(name, append(top, commandKey))
	if meansCommand(name) {
		near = commandKey
	}
	if near != "" {
		return fmt.Errorf("unknown key %s; did you mean %q?", flagval.Quote(name), near)
	}
	if near := flagval.Nearest(name, options); near != "" {
		return fmt.Errorf("unknown key %s; did you mean Options: {%q: ...}?", flagval.Quote(name), near)
	}
	return fmt.Errorf("unknown key %s; %s takes %s", flagval.Quote(name), verb, flagval.List(top, "and"))
}

// unknownOption returns the error for a key that is none of the options. top are the keys beside Options.
func unknownOption(name, verb string, top, options []string) error {
	near := flagval.Nearest(name, options)
	if strings.EqualFold(name, "rm") && slices.Contains(options, "Remove") {
		near = "Remove" // the one key that is not called as docker's flag
	}
	if near != "" {
		return fmt.Errorf("unknown key %s; did you mean %q?", flagval.Quote(name), near)
	}
	var takes string
	const most = 12 // a longer list would not be read
	switch beside := flagval.Nearest(name, top); {
	case beside != "":
		takes = fmt.Sprintf("did you mean %q beside Options?", beside)
	case len(options) > most:
		takes = verb + ` takes the options of the docker CLI, such as --stop-timeout 5 as "StopTimeout": 5`
	case len(options) == 0:
		takes = verb + " takes no options"
	default:
		takes = verb + " takes " + flagval.List(options, "and")
	}
	return fmt.Errorf("unknown key %s; %s", flagval.Quote(name), takes)
}

func keyNames[T any](keys []key[T]) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	return names
}
