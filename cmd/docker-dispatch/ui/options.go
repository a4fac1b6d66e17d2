package ui

import (
	"errors"
	"flag"
	"io"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Options are the options of a command line, and what else may stand on it. An option that the command line does not give
// is taken from the environment: see environment.go. The usage of an option is FILE or DIR if its value is a path.
type Options struct {
	*flag.FlagSet
	Verbs []string            // the values of the first argument; nil: it is as the others
	Only  map[string][]string // the options that not all Verbs have, by name, with the Verbs that do
	Files bool                // the arguments are files

	variables map[string][]string // of options that have not only the usual variable, by option
	from      map[string]string   // where the value of a setting is from; see From
}

// NewOptions returns an empty set. Errors name the command, such as docker-dispatch send.
func NewOptions(command string) *Options {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return &Options{FlagSet: fs, variables: make(map[string][]string), from: make(map[string]string)}
}

// Parse reads the command line and the environment, and returns the arguments. Options may stand before, between and after
// those, until --.
func (o *Options) Parse(args []string, getenv func(string) string) (rest []string, err error) {
	for {
		if err := o.FlagSet.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, ErrHelp
		} else if err != nil {
			return nil, UsageError(flagError(o.FlagSet, err), o.Hint())
		}
		if o.NArg() == 0 {
			return rest, o.FromEnvironment(getenv)
		}
		if i := len(args) - o.NArg() - 1; i >= 0 && args[i] == "--" {
			return append(rest, o.Args()...), o.FromEnvironment(getenv)
		}
		rest = append(rest, o.Arg(0))
		args = o.Args()[1:]
	}
}

// Hint is the hint of an error in the options.
func (o *Options) Hint() string { return o.Name() + " -h lists the options" }

// Flags returns the options in alphabetical order. Those of one letter are short for another.
func (o *Options) Flags() (flags []message.Flag) {
	short := func(value flag.Value) (letter string) {
		o.VisitAll(func(f *flag.Flag) {
			if len(f.Name) == 1 && f.Value == value {
				letter = f.Name
			}
		})
		return letter
	}
	o.VisitAll(func(f *flag.Flag) {
		if len(f.Name) == 1 {
			return
		}
		truth, ok := f.Value.(interface{ IsBoolFlag() bool })
		m := message.Flag{Name: f.Name, Short: short(f.Value), Bool: ok && truth.IsBoolFlag(), Path: f.Usage}
		m.Set = func(v string) error { return o.Set(f.Name, v) }
		if c, ok := f.Value.(*choice); ok {
			m.Values = c.values
		}
		flags = append(flags, m)
	})
	return flags
}

// A choice is the value of an option that takes one of a few.
type choice struct {
	to     *string
	usual  string // what is in to at first: another value
	values []string
}

// ChoiceVar defines an option that takes one of the values. Its default is what is in to.
func (o *Options) ChoiceVar(to *string, name string, values ...string) {
	o.Var(&choice{to, *to, values}, name, "")
}

func (c *choice) String() string { return *c.to }

func (c *choice) Set(text string) error {
	if text != c.usual && !slices.Contains(c.values, text) {
		return errors.New("expected " + flagval.List(c.values, "or"))
	}
	*c.to = text
	return nil
}
