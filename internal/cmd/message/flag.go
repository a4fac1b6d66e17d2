package message

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A Flag is an option of a command line, with the docker CLI's syntax.
type Flag struct {
	Name  string // without its two dashes
	Short string // one letter, without its dash; empty: none
	Bool  bool   // it needs no value: --rm is --rm=true
	Set   func(value string) error

	// For the completion of a command line.
	Values []string // the values that it takes; nil: others too
	Path   string   // FILE or DIR: its value is a path where the command line is given
}

// A FlagError says which option of a command line cannot be read, in the docker CLI's words.
type FlagError struct{ Message string }

// Error implements error.
func (e *FlagError) Error() string { return e.Message }

func flagError(format string, args ...any) error { return &FlagError{fmt.Sprintf(format, args...)} }

// ErrHelp says that --help was given.
var ErrHelp = errors.New("help asked for")

// parseFlags sets the options at the beginning of args, and returns the other arguments. The first argument that is no
// option ends them: options after the image belong to the container's command.
func parseFlags(flags []Flag, args []string) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		switch {
		case arg == "--":
			return args[1:], nil
		case len(arg) < 2 || arg[0] != '-':
			return args, nil
		case arg[1] == '-':
			args, err = parseLong(flags, arg, args[1:])
		default:
			args, err = parseShort(flags, arg, args[1:])
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// parseLong sets --name, --name=value or --name value, and returns the arguments after it.
func parseLong(flags []Flag, arg string, behind []string) ([]string, error) {
	name, value, given := strings.Cut(arg[2:], "=")
	if name == "" || name[0] == '-' {
		return nil, flagError("bad flag syntax: %s", arg)
	}
	var known []string
	for _, f := range flags {
		if f.Name == name {
			return f.take(value, given, behind, arg)
		}
		known = append(known, f.Name)
	}
	if name == "help" {
		if on, err := strconv.ParseBool(value); given && err == nil && !on {
			return behind, nil
		}
		return nil, ErrHelp
	}
	if near := flagval.Nearest(name, known); near != "" {
		return nil, flagError("unknown flag: --%s; did you mean --%s?", name, near)
	}
	return nil, flagError("unknown flag: --%s", name)
}

// parseShort sets -x, -xvalue, -x=value or -x value, or several options in one as in -it. It returns the arguments after it.
func parseShort(flags []Flag, arg string, behind []string) (_ []string, err error) {
	for left := arg[1:]; left != ""; {
		i := slices.IndexFunc(flags, func(f Flag) bool { return f.Short == left[:1] })
		if i < 0 {
			return nil, flagError("unknown shorthand flag: %q in -%s", left[0], left)
		}
		f, value, more := flags[i], left[1:], ""
		switch {
		case len(value) > 1 && value[0] == '=':
			value = value[1:]
		case f.Bool:
			value, more = "", value
		}
		if behind, err = f.take(value, value != "", behind, fmt.Sprintf("%q in -%s", left[0], left)); err != nil {
			return nil, err
		}
		left = more
	}
	return behind, nil
}

// take sets the flag to the value that was given with it, else to the next argument. It returns the arguments after it.
func (f Flag) take(value string, given bool, behind []string, shown string) ([]string, error) {
	switch {
	case given:
	case f.Bool:
		value = "true"
	case len(behind) == 0:
		return nil, flagError("flag needs an argument: %s", shown)
	default:
		value, behind = behind[0], behind[1:]
	}
	return behind, f.set(value)
}

func (f Flag) set(value string) error {
	if f.Bool {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return f.refused(value, err)
		}
		value = strconv.FormatBool(b)
	}
	if err := f.Set(value); err != nil {
		return f.refused(value, err)
	}
	return nil
}

func (f Flag) refused(value string, err error) error {
	name := "--" + f.Name
	if f.Short != "" {
		name = "-" + f.Short + ", " + name
	}
	return flagError("invalid argument %s for %q flag: %v", flagval.Quote(value), name, err)
}
