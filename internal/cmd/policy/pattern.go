package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A pattern is one item of a list in Allow or Deny.
type pattern struct {
	text    string // as the file has it
	matches func(value string) bool
}

func anyMatches(list []pattern, value string) bool {
	return slices.ContainsFunc(list, func(p pattern) bool { return p.matches(value) })
}

// compile makes the pattern of a key's value. Those of Deny and Allow differ for a few keys.
func compile(key, text string, deny bool) (pattern, error) {
	form := text
	switch key {
	case "Command":
		if !strings.Contains(text, "*") && !slices.Contains(message.Verbs(), text) {
			return pattern{}, fmt.Errorf("no command is called %s; the commands are %s", flagval.Quote(text), flagval.List(message.Verbs(), "and"))
		}
	case "Image":
		form = canonicalImage(text)
	case "Network":
		form = canonicalNetwork(text)
	case "CapAdd":
		form = strings.TrimPrefix(strings.ToUpper(text), "CAP_")
		return pattern{text, func(value string) bool {
			return glob(form, strings.TrimPrefix(value, "CAP_")) || deny && value == flagval.AllCapabilities
		}}, nil
	case "Device":
		return pattern{text, func(value string) bool { return glob(form, value) || deny && within(form, value) }}, nil
	case "Bind":
		return compileBind(text, deny)
	}
	return pattern{text, func(value string) bool { return glob(form, value) }}, nil
}

// glob reports whether value matches a pattern, in which * stands for any text, slashes too.
func glob(pattern, value string) bool {
	part, rest, wild := strings.Cut(pattern, "*")
	value, ok := strings.CutPrefix(value, part)
	if !wild || !ok {
		return ok && value == ""
	}
	for {
		if part, rest, wild = strings.Cut(rest, "*"); !wild {
			return strings.HasSuffix(value, part)
		}
		if _, value, ok = strings.Cut(value, part); !ok {
			return false
		}
	}
}

// readOnlyBind is behind the path of a bind that containers cannot write, in a policy and in an ask.
const readOnlyBind = ":ro"

// compileBind makes the pattern of a path of the host. Allow has two forms. PATH is that path alone. PATH:ro is also all below
// it, and read-only: a container that could write there could make a link to any place, and the next could mount it.
// Deny has one form, PATH, and means all below it, and what it is below: that has it too.
func compileBind(text string, deny bool) (pattern, error) {
	if text == "*" {
		return pattern{text, func(string) bool { return true }}, nil
	}
	at, readOnly := strings.CutSuffix(text, readOnlyBind)
	if !path.IsAbs(at) || path.Clean(at) != at || strings.Contains(at, "*") {
		return pattern{}, fmt.Errorf("%s is not an absolute path without ., .. and *, such as \"/srv/data\", or \"/srv/data:ro\" for all below it", flagval.Quote(text))
	}
	if deny && readOnly {
		return pattern{}, errors.New("leave out :ro; a path that is denied is denied in both ways")
	}
	return pattern{text, func(value string) bool {
		source, valueReadOnly := strings.CutSuffix(value, readOnlyBind)
		switch {
		case deny:
			return within(path.Clean(source), at) || within(at, path.Clean(source))
		case path.Clean(source) != source: // what .. means depends on links
			return false
		case readOnly:
			return valueReadOnly && within(source, at)
		}
		return source == at
	}}, nil
}

// within reports whether a path is dir or below it.
func within(at, dir string) bool {
	return at == dir || dir == "/" || strings.HasPrefix(at, dir+"/")
}

// writable returns the paths of the host that containers may write, unless that is any path.
func writable(binds []pattern) (paths []string) {
	for _, p := range binds {
		if p.text != "*" && !strings.HasSuffix(p.text, readOnlyBind) {
			paths = append(paths, p.text)
		}
	}
	return paths
}

// shelter makes patterns of binds refuse what is below a writable path: a container could put a link there.
func shelter(list []pattern, writable []string) error {
	below := func(source string) int {
		return slices.IndexFunc(writable, func(w string) bool { return source != w && within(source, w) })
	}
	for i, p := range list {
		if p.text == "*" {
			continue
		}
		if w := below(strings.TrimSuffix(p.text, readOnlyBind)); w >= 0 {
			return fmt.Errorf("%s is below %s, which containers may write: one could put a link in its place; let containers only read that (%s)", flagval.Quote(p.text), flagval.Quote(writable[w]), flagval.Quote(writable[w]+readOnlyBind))
		}
		list[i].matches = func(value string) bool {
			return p.matches(value) && below(strings.TrimSuffix(value, readOnlyBind)) < 0
		}
	}
	return nil
}

// canonicalImage returns the full name of an image, or of a pattern of such: docker.io/library/alpine:latest for alpine. With
// a digest there is no tag: the engine goes by the digest. A name that could be an image's id is sha256: and the id.
func canonicalImage(ref string) string {
	const digits = "0123456789abcdef"
	hex, isID := strings.CutPrefix(ref, "sha256:")
	if hex != "" && (strings.Trim(hex, digits) == "" || isID && strings.Trim(hex, digits+"*") == "") {
		return "sha256:" + hex
	}
	if strings.HasPrefix(ref, "*") {
		return ref
	}
	name, digest, pinned := strings.Cut(ref, "@")
	domain, rest := flagval.SplitImage(name)
	folder, last := path.Split(domain + "/" + rest)
	base, _, tagged := strings.Cut(last, ":")
	switch {
	case pinned:
		return folder + base + "@" + digest
	case tagged || strings.HasSuffix(last, "*"):
		return folder + last
	}
	return folder + last + ":latest"
}

// defaultNetwork is the network of a container that names none.
const defaultNetwork = "default"

func canonicalNetwork(name string) string {
	if name == "bridge" {
		return defaultNetwork
	}
	return name
}

// labelled reports whether labels have want, NAME or NAME=VALUE.
func labelled(labels map[string]string, want string) bool {
	name, value, valued := strings.Cut(want, "=")
	got, ok := labels[name]
	return ok && (!valued || got == value)
}
