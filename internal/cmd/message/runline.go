package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A RunLine is a command line of `docker run` that becomes a message: the daemon does what docker would have done. The
// caller's files and environment are read here, because the daemon does not have them. Typing into the container at a
// terminal is not supported.
type RunLine struct {
	Image string
	Cmd   []string // nil: the image's own

	Detach, Interactive, Tty bool
	Attach                   []string // stdin, stdout and stderr, in lower case

	Pull     string // empty: as the daemon's --pull says
	Quiet    bool
	CIDFile  string // the file for the container's id
	SigProxy bool   // signals go to the container; else they end only the client

	values   map[string][]string // by key
	envFiles []string
	labels   []string // paths of label files
}

// A Caller has the environment and the files that docker reads where a command line is given.
type Caller struct {
	LookupEnv func(name string) (string, bool)
	ReadFile  func(path string) ([]byte, error)
}

// ErrNoImage says that a command line names no image.
var ErrNoImage = errors.New("an image is needed")

// ParseRunLine reads docker run's flags and the flags in more, the image, and the container's command. If two flags have the
// same name, the flag in more wins. A [*FlagError] says which flag cannot be read. ErrHelp says that help was asked for.
func ParseRunLine(args []string, more []Flag, caller Caller) (*RunLine, error) {
	l := &RunLine{SigProxy: true, values: make(map[string][]string)}
	for _, a := range args {
		if !utf8.ValidString(a) {
			return nil, fmt.Errorf("the argument %s is not UTF-8, which a message cannot hold", flagval.Quote(a))
		}
	}
	rest, err := parseFlags(slices.Concat(more, l.clientFlags(), l.keyFlags(), refusedFlags()), args)
	if err != nil {
		return nil, err
	}
	if len(rest) == 0 {
		return nil, ErrNoImage
	}
	l.Image = rest[0]
	if len(rest) > 1 {
		l.Cmd = rest[1:]
	}
	if err := l.read(caller); err != nil {
		return nil, err
	}
	return l, flagval.CheckImage(l.Image)
}

// RunFlags returns the flags of docker run that a RunLine takes.
func RunFlags() []Flag {
	l := &RunLine{values: make(map[string][]string)}
	return slices.Concat(l.clientFlags(), l.keyFlags())
}

// keyFlags returns the flags of all keys of a run.
func (l *RunLine) keyFlags() (flags []Flag) {
	for _, k := range runOptions {
		for name, short := range k.flagNames() {
			flags = append(flags, Flag{Name: name, Short: short, Bool: k.form == formBool, Values: k.values, Set: func(v string) error { return l.set(k, v) }})
		}
	}
	return flags
}

// flagNames returns the key's long flags. The first is mapped to the short flag, if there is one.
func (k key[T]) flagNames() map[string]string {
	names := make(map[string]string)
	if k.flags == nil {
		names[kebab(k.name)] = ""
	}
	for _, f := range k.flags {
		if len(f) == 1 {
			names[k.flags[0]] = f
		} else {
			names[f] = ""
		}
	}
	return names
}

// kebab turns CamelCase into camel-case.
func kebab(name string) string {
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// set keeps the value of a flag, if the key takes it.
func (l *RunLine) set(k key[Run], v string) error {
	switch k.name {
	case "Attach":
		l.Attach = append(l.Attach, strings.ToLower(v))
	case "Detach":
		l.Detach = v == "true"
	case "Interactive":
		l.Interactive = v == "true"
	case "Tty":
		l.Tty = v == "true"
	case "Pull":
		l.Pull = v
	case "Entrypoint":
		delete(l.values, k.name) // a list in a message, but one text for docker: the last counts
	}
	if k.form == formText && v == "" {
		delete(l.values, k.name) // as if it had not been given
		return nil
	}
	if err := k.check(v); err != nil {
		return err
	}
	switch k.form {
	case formList, formPairs:
		l.values[k.name] = append(l.values[k.name], v)
	default:
		l.values[k.name] = []string{v}
	}
	return nil
}

// check refuses a flag's value that the key would not take.
func (k key[T]) check(v string) error {
	switch {
	case k.decode != nil && !json.Valid([]byte(v)):
		return fmt.Errorf("expected %s in JSON, got %s", k.form, flagval.Quote(v))
	case k.decode != nil:
		return k.decode(new(T), json.RawMessage(v))
	case strings.HasPrefix(v, seccompFile) && k.name == "SecurityOpt":
		return nil // read reads the profile later
	case k.name == "Name":
		return nil // see read
	}
	return k.set(new(T), []string{v})
}

// seccompFile is the prefix of a --security-opt that names a file.
const seccompFile = "seccomp="

// read replaces the names of the caller's files and variables by their contents. Its errors are those that docker reports
// after it has read all flags.
func (l *RunLine) read(caller Caller) error {
	env, err := caller.lines(l.envFiles, caller.LookupEnv)
	if err != nil {
		return err
	}
	for _, v := range l.values["Env"] {
		if value, ok := caller.LookupEnv(v); ok && !strings.Contains(v, "=") {
			v += "=" + value
		}
		env = append(env, v)
	}
	labels, err := caller.lines(l.labels, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	for i, v := range l.values["SecurityOpt"] {
		path, ok := strings.CutPrefix(v, seccompFile)
		if !ok || path == "" || path == "unconfined" || path == "builtin" {
			continue
		}
		profile, err := caller.ReadFile(path)
		if err != nil {
			return fmt.Errorf("opening seccomp profile (%s) failed: %w", path, err)
		}
		l.values["SecurityOpt"][i] = seccompFile + string(profile)
	}
	for i, name := range l.values["Name"] {
		l.values["Name"][i] = strings.TrimPrefix(name, "/") // as the engine does
		if flagval.CheckName(l.values["Name"][i]) != nil {  // docker leaves the check to the engine, whose words these are
			return fmt.Errorf("Error response from daemon: Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
		}
	}
	if env != nil {
		l.values["Env"] = env
	}
	if labels = append(labels, l.values["Label"]...); labels != nil {
		l.values["Label"] = labels
	}
	return nil
}

// clientFlags returns the flags of docker run that the client handles itself: they have no key in the message.
func (l *RunLine) clientFlags() []Flag {
	keep := func(set func(v string)) func(string) error {
		return func(v string) error {
			set(v)
			return nil
		}
	}
	return []Flag{
		{Name: "env-file", Path: "FILE", Set: keep(func(v string) { l.envFiles = append(l.envFiles, v) })},
		{Name: "label-file", Path: "FILE", Set: keep(func(v string) { l.labels = append(l.labels, v) })},
		{Name: "cidfile", Path: "FILE", Set: keep(func(v string) { l.CIDFile = v })},
		{Name: "quiet", Bool: true, Set: keep(func(v string) { l.Quiet = v == "true" })},
		{Name: "sig-proxy", Bool: true, Set: keep(func(v string) { l.SigProxy = v == "true" })},
		// These two have no effect: there is no terminal, and the client does not pull.
		{Name: "detach-keys", Set: keep(func(string) {})},
		{Name: "disable-content-trust", Bool: true, Set: keep(func(string) {})},
	}
}

// refusedFlags returns docker run's flags that no message can carry out.
func refusedFlags() []Flag {
	refused := func(why string) func(string) error {
		return func(string) error { return errors.New(why) }
	}
	const windows = "only engines on Windows have it, which no message can ask for"
	return []Flag{
		{Name: "isolation", Set: func(v string) error {
			if v == "" || v == "default" {
				return nil
			}
			return errors.New(windows)
		}},
		{Name: "cpu-count", Set: refused(windows)},
		{Name: "cpu-percent", Set: refused(windows)},
		{Name: "io-maxbandwidth", Set: refused(windows)},
		{Name: "io-maxiops", Set: refused(windows)},
		{Name: "kernel-memory", Set: refused("kernels no longer have it, and a message has no key for it")},
		{Name: "use-api-socket", Bool: true, Set: refused("the caller's credentials do not travel in a message")},
	}
}

// lines returns the variables in files of NAME=VALUE lines. lookup returns the values of names without =.
func (c Caller) lines(paths []string, lookup func(string) (string, bool)) (list []string, err error) {
	for _, path := range paths {
		text, err := c.ReadFile(path)
		if err != nil {
			return nil, err
		}
		n := 0
		for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
			n++
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if !utf8.ValidString(line) {
				return nil, fmt.Errorf("invalid env file (%s): invalid utf8 bytes at line %d: %v", path, n, []byte(line))
			}
			line = strings.TrimLeftFunc(line, unicode.IsSpace)
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, given := strings.Cut(line, "=")
			switch {
			case strings.ContainsFunc(name, unicode.IsSpace):
				return nil, fmt.Errorf("invalid env file (%s): variable '%s' contains whitespaces", path, name)
			case name == "":
				return nil, fmt.Errorf("invalid env file (%s): no variable name on line '%s'", path, line)
			case !given:
				value, given = lookup(name)
			}
			if given {
				list = append(list, name+"="+value)
			}
		}
	}
	return list, nil
}

// Attached reports whether a stream is to be attached: stdin, stdout or stderr.
func (l *RunLine) Attached(stream string) bool {
	switch {
	case l.Detach:
		return false
	case stream == "stdin":
		return l.Interactive // without it the container has no standard input that the engine could write to
	}
	return len(l.Attach) == 0 || slices.Contains(l.Attach, stream)
}

// FullImage returns the image's name as docker shows it, with its tag.
func (l *RunLine) FullImage() string { return flagval.FullName(l.Image) }
