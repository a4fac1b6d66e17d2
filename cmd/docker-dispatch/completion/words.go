package completion

import (
	"maps"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// Words returns what the last of the words may be, which may be begun. The others are before it on the command line, without
// the program's name. path is FILE or DIR if it may also be a path.
func (p Program) Words(words []string) (found []string, path string) {
	words, begun := joined(words)
	last := len(words) - 1
	names := slices.Sorted(maps.Keys(p))
	name := ""
	if last > 0 && words[0] != "" && slices.Contains(names, words[0]) {
		name, words = words[0], words[1:]
	}
	c := p[name]
	if len(words) == 1 && name == "" {
		c.Verbs = names
	}
	found, path = c.words(words[:len(words)-1], words[len(words)-1])
	found = slices.DeleteFunc(found, func(f string) bool { return f == "" || !strings.HasPrefix(f, words[len(words)-1]) })
	for i := range found {
		found[i] = found[i][begun:]
	}
	return found, path
}

// joined undoes how bash splits words: it makes words of their own of = and :. begun is how much of the last word bash takes
// for other words.
func joined(words []string) (whole []string, begun int) {
	breaks := func(w string) bool { return w != "" && strings.Trim(w, "=:") == "" }
	last := ""
	for i, w := range words {
		if i > 0 && (breaks(w) || breaks(words[i-1])) {
			whole[len(whole)-1] += w
		} else {
			whole = append(whole, w)
		}
		last = w
	}
	if len(whole) == 0 {
		return []string{""}, 0
	}
	if breaks(last) { // the cursor comes after it
		last = ""
	}
	if whole[len(whole)-1] == words[len(words)-1] { // nothing was joined to it
		return whole, 0
	}
	return whole, len(whole[len(whole)-1]) - len(last)
}

// words returns the candidates for a word after others. They need not begin as the word does.
func (c Command) words(before []string, word string) (found []string, path string) {
	var open *message.Flag // the option whose value comes next
	verb, arguments, options := "", 0, true
	for _, w := range before {
		switch {
		case open != nil:
			open = nil
		case options && w == "--":
			options = false
		case options && len(w) > 1 && w[0] == '-':
			open = c.opened(w)
		default:
			if arguments == 0 {
				verb = w
			}
			arguments++
			options = options && !c.Prefix
		}
	}
	given, _, isValue := strings.Cut(word, "=")
	switch {
	case open != nil:
		return slices.Clone(open.Values), open.Path
	case options && strings.HasPrefix(word, "--") && isValue:
		f := c.flag(given[2:])
		if f == nil {
			return nil, ""
		}
		for _, v := range f.Values {
			found = append(found, given+"="+v)
		}
		return found, f.Path
	case options && strings.HasPrefix(word, "-"):
		for _, f := range c.Flags {
			if only := c.Only[f.Name]; verb != "" && only != nil && !slices.Contains(only, verb) {
				continue
			}
			found = append(found, "--"+f.Name)
			if f.Short != "" {
				found = append(found, "-"+f.Short)
			}
		}
		slices.Sort(found)
		return slices.Compact(append(found, "--help")), ""
	case arguments > 0 && c.Prefix:
		return nil, ""
	case arguments == 0:
		found = slices.Clone(c.Verbs)
	}
	if c.Files {
		path = "FILE"
	}
	return found, path
}

// flag returns the option of that name, long or short, or nil.
func (c Command) flag(name string) *message.Flag {
	i := slices.IndexFunc(c.Flags, func(f message.Flag) bool { return name != "" && (f.Name == name || f.Short == name) })
	if i < 0 {
		return nil
	}
	return &c.Flags[i]
}

// opened returns the option in w, such as --name or -it, whose value is the next word.
func (c Command) opened(w string) *message.Flag {
	f := c.flag(strings.TrimLeft(w, "-"))
	if f == nil && w[1] != '-' { // several options of one letter
		for i := 1; i < len(w); i++ {
			if f = c.flag(w[i : i+1]); f == nil || !f.Bool && i < len(w)-1 {
				return nil // the rest is the value
			}
		}
	}
	if f == nil || f.Bool {
		return nil
	}
	return f
}
