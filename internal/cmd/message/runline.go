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

// A RunLine is the command line of `docker run`, for the other end of a queue: it becomes a message whose
// daemon does what docker would have done. What docker reads from its own files and environment is read here;
// what needs somebody at a terminal there is not.
type RunLine struct {
	Image string
	Cmd   []string // nil: the image's own

	Detach, Interactive, Tty bool
	Attach                   []string // as given: stdin, stdout and stderr

	Pull     string // empty: as the daemon does
	Quiet    bool
	CIDFile  string // where the container's id goes
	SigProxy bool   // signals are for the container; else they only end the client

	values   map[string][]string // by key
	envFiles []string
	labels   []string // files too
}

// A Caller is where a command line is given: what docker reads there.
type Caller struct {
	LookupEnv func(name string) (string, bool)
	ReadFile  func(path string) ([]byte, error)
}

// ErrNoImage says that a command line ends before it names an image.
var ErrNoImage = errors.New("an image is needed")

// ParseRunLine reads docker run's flags, and the caller's own more, up to the image, and what is behind it.
// Of two flags with one short name the caller's has it. A [*FlagError] says which flag cannot be read,
// ErrHelp that help is asked for.
func ParseRunLine(args []string, more []Flag, caller Caller) (*RunLine, error) {
	l := &RunLine{SigProxy: true, values: make(map[string][]string)}
	for _, a := range args {
		if !utf8.ValidString(a) {
			return nil, fmt.Errorf("the argument %s is not UTF-8, which a message cannot hold", flagval.Quote(a))
		}
	}
	rest, err := parseFlags(slices.Concat(more, l.clientFlags(), l.keyFlags()), args)
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

// keyFlags are the flags of all keys of a run.
func (l *RunLine) keyFlags() (flags []Flag) {
	for _, k := range runOptions {
		for name, short := range k.flagNames() {
			flags = append(flags, Flag{Name: name, Short: short, Bool: k.form == formBool, Set: func(v string) error { return l.set(k, v) }})
		}
	}
	return flags
}

// flagNames returns the key's long flags, the first with its short one.
func (k Key[T]) flagNames() map[string]string {
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

// kebab writes CamelCase as flags are written, camel-case.
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
func (l *RunLine) set(k Key[Run], v string) error {
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
		delete(l.values, k.name) // a list in a message, and one text to docker: the last counts
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

// check refuses what the key would not take.
func (k Key[T]) check(v string) error {
	switch {
	case k.decode != nil && !json.Valid([]byte(v)):
		return fmt.Errorf("expected %s in JSON, got %s", k.form, flagval.Quote(v))
	case k.decode != nil:
		return k.decode(new(T), json.RawMessage(v))
	case strings.HasPrefix(v, seccompFile) && k.name == "SecurityOpt":
		return nil // the profile is yet to be read
	case k.name == "Name":
		return nil // see read
	}
	return k.set(new(T), []string{v})
}

// seccompFile begins a --security-opt that names a file.
const seccompFile = "seccomp="

// read puts what stands in the caller's files and environment in the place of their names. It finds what docker finds
// behind its flags.
func (l *RunLine) read(caller Caller) error {
	var env, labels []string
	for _, path := range l.envFiles {
		var err error
		if env, err = caller.lines(env, path, caller.LookupEnv); err != nil {
			return err
		}
	}
	for _, v := range l.values["Env"] {
		if value, ok := caller.LookupEnv(v); ok && !strings.Contains(v, "=") {
			v += "=" + value
		}
		env = append(env, v)
	}
	for _, path := range l.labels {
		var err error
		if labels, err = caller.lines(labels, path, func(string) (string, bool) { return "", false }); err != nil {
			return err
		}
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
	for _, name := range l.values["Name"] {
		if flagval.CheckName(name) != nil { // docker leaves that to the engine, whose words these are
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

// clientFlags are docker run's flags that no key stands for.
func (l *RunLine) clientFlags() []Flag {
	truth := func(to *bool) func(string) error {
		return func(v string) error {
			*to = v == "true"
			return nil
		}
	}
	nothing := func(string) error { return nil }
	refused := func(why string) func(string) error {
		return func(v string) error { return errors.New(why) }
	}
	const windows = "only engines on Windows have it, which no message can ask for"
	return []Flag{
		{Name: "env-file", Set: func(v string) error {
			l.envFiles = append(l.envFiles, v)
			return nil
		}},
		{Name: "label-file", Set: func(v string) error {
			l.labels = append(l.labels, v)
			return nil
		}},
		{Name: "cidfile", Set: func(v string) error {
			l.CIDFile = v
			return nil
		}},
		{Name: "quiet", Bool: true, Set: truth(&l.Quiet)},
		{Name: "sig-proxy", Bool: true, Set: truth(&l.SigProxy)},
		// Without a terminal, and without a client that pulls, they say nothing.
		{Name: "detach-keys", Set: nothing},
		{Name: "disable-content-trust", Bool: true, Set: nothing},
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

// lines adds what a file of NAME=VALUE holds. lookup has the values of names alone.
func (c Caller) lines(to []string, path string, lookup func(string) (string, bool)) ([]string, error) {
	text, err := c.ReadFile(path)
	if err != nil {
		return nil, err
	}
	refuse := func(format string, args ...any) ([]string, error) {
		return nil, fmt.Errorf("invalid env file (%s): "+format, append([]any{path}, args...)...)
	}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if !utf8.ValidString(line) {
			return refuse("invalid utf8 bytes at line %d: %v", n, []byte(line))
		}
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, given := strings.Cut(line, "=")
		switch {
		case strings.ContainsFunc(name, unicode.IsSpace):
			return refuse("variable '%s' contains whitespaces", name)
		case name == "":
			return refuse("no variable name on line '%s'", line)
		}
		if !given {
			value, given = lookup(name)
		}
		if given {
			to = append(to, name+"="+value)
		}
	}
	return to, nil
}

// Attached tells whether a stream is to be attached: stdin, stdout or stderr.
func (l *RunLine) Attached(stream string) bool {
	if l.Detach {
		return false
	}
	if stream == "stdin" {
		return l.Interactive // without it the engine has nowhere to put what is typed
	}
	if len(l.Attach) == 0 {
		return true
	}
	return slices.Contains(l.Attach, stream)
}

// FullImage is the image's name as docker shows it, with its tag.
func (l *RunLine) FullImage() string { return flagval.FullName(l.Image) }
