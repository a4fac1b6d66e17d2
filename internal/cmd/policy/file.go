package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// mostFile bounds the file of a policy, in bytes.
const mostFile = 1 << 20

// Load reads a policy's file, strictly. An error has the file, the line and the column of the fault.
func Load(file string) (*Policy, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", file) // to read it could take for ever
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err != nil {
		return nil, err
	}
	p, err := Parse(bytes.TrimPrefix(text, []byte("\ufeff")))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// Parse reads the text of a policy's file. An error has the line and the column of the fault.
func Parse(text []byte) (*Policy, error) {
	if len(text) > mostFile {
		return nil, fmt.Errorf("a policy has at most %d bytes", mostFile)
	}
	if err := message.CheckJSON(text); err != nil {
		return nil, err
	}
	p := new(Policy)
	d := &decoder{source: text}
	d.file(p, d.root())
	if d.err != nil {
		return nil, d.err
	}
	return p, nil
}

// A node is a value in the file's text.
type node struct {
	name string // of the member; "": the whole, or an item of a list
	at   int    // where it begins: the name of a member
	from int    // where the value begins
	raw  json.RawMessage
}

// A decoder reads a file. After the first fault it does nothing more.
type decoder struct {
	source []byte
	err    error
}

func (d *decoder) root() node {
	at := len(d.source) - len(bytes.TrimLeft(d.source, " \t\r\n"))
	return node{at: at, from: at, raw: d.source[at:]}
}

// fail records a fault of n.
func (d *decoder) fail(n node, err error) {
	if d.err != nil || err == nil {
		return
	}
	if n.name != "" {
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	d.err = message.At(message.Place(d.source, n.at), err)
}

// items returns what is in an object, or in a list: then they have no names.
func (d *decoder) items(n node, open json.Delim, what string) (list []node) {
	if n.raw[0] != byte(open) {
		d.fail(n, fmt.Errorf("expected %s", what))
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(n.raw))
	dec.Token() // no call fails: the text is valid
	seen := make(map[string]bool)
	for dec.More() {
		at := int(dec.InputOffset())
		at += len(n.raw[at:]) - len(bytes.TrimLeft(n.raw[at:], " \t\r\n,"))
		m := node{at: n.from + at}
		if open == '{' {
			name, _ := dec.Token()
			m.name, _ = name.(string)
			if seen[m.name] {
				d.fail(m, errors.New("a second time"))
			}
			seen[m.name] = true
		}
		dec.Decode(&m.raw)
		m.from = n.from + int(dec.InputOffset()) - len(m.raw)
		list = append(list, m)
	}
	return list
}

func (d *decoder) members(n node) []node { return d.items(n, '{', "an object") }

func (d *decoder) text(n node) (s string) {
	if json.Unmarshal(n.raw, &s) != nil || n.raw[0] != '"' {
		d.fail(n, errors.New("expected a string"))
	}
	return s
}

// patterns reads a list of strings, or one string: the values of a key.
func (d *decoder) patterns(n node, deny bool) []pattern {
	items := []node{n}
	if n.raw[0] != '"' {
		items = d.items(n, '[', "a string or an array of strings")
	}
	list := []pattern{}
	for _, item := range items {
		p, err := compile(n.name, d.text(item), deny)
		if item.name = n.name; d.err == nil {
			d.fail(item, err)
		}
		list = append(list, p)
	}
	return list
}

// unknown records that n's name is none of names.
func (d *decoder) unknown(n node, names []string) {
	what := fmt.Sprintf("it is none of %s", flagval.List(names, "and"))
	if near := flagval.Nearest(n.name, names); near != "" {
		what = fmt.Sprintf("did you mean %q?", near)
	}
	d.fail(node{at: n.at}, fmt.Errorf("unknown key %s; %s", flagval.Quote(n.name), what))
}

// file reads the whole file: a part for all users, with parts for some.
func (d *decoder) file(p *Policy, n node) {
	var users []node
	rest := slices.DeleteFunc(d.members(n), func(m node) bool {
		if m.name == "Users" {
			users = d.members(m)
		}
		return m.name == "Users"
	})
	names := append(slices.Clone(partKeys), "Users")
	d.part(&p.rest, rest, names)
	p.users = make(map[string]*Rules, len(users))
	for _, u := range users {
		if u.name == "" {
			d.fail(node{at: u.at}, errors.New("a user without a name; the rules beside Users are for messages of no user"))
		}
		r := p.rest.clone()
		r.user = u.name
		d.part(&r, d.members(u), partKeys)
		p.users[u.name] = &r
	}
	all := append(slices.Collect(maps.Values(p.users)), &p.rest)
	var paths []string // of all users: what one may write, the other may be led by
	for _, r := range all {
		paths = append(paths, writable(r.allow["Bind"])...)
	}
	for _, r := range all {
		if binds, ok := r.allow["Bind"]; ok {
			binds = slices.Clone(binds) // a user's may be those for all
			d.fail(n, shelter(binds, paths))
			r.allow["Bind"] = binds
		}
		r.finish()
	}
}

// clone copies rules, so that a user's part can change them.
func (r *Rules) clone() Rules {
	c := *r
	c.allow, c.deny, c.options = maps.Clone(r.allow), maps.Clone(r.deny), slices.Clone(r.options)
	return c
}

var partKeys = []string{"Trust", "Containers", "Allow", "Deny", "Max", "Default", "Fixed"}

// part reads the members of a part. What they do not name stays as it is.
func (d *decoder) part(r *Rules, members []node, names []string) {
	set := make(map[string]bool) // what Default or Fixed of this part has named
	for _, m := range members {
		switch m.name {
		case "Trust":
			if err := json.Unmarshal(m.raw, &r.Trust); err != nil || string(m.raw) == "null" {
				d.fail(m, errors.New("expected true or false"))
			}
		case "Containers":
			d.containers(r, m)
		case "Allow":
			d.lists(&r.allow, m, false)
		case "Deny":
			d.lists(&r.deny, m, true)
		case "Max":
			d.ceilings(r, m)
		case "Default":
			d.presets(r, m, set, false)
		case "Fixed":
			d.presets(r, m, set, true)
		default:
			d.unknown(m, names)
		}
	}
}

// finish completes rules whose parts have been read.
func (r *Rules) finish() {
	r.presets = slices.Clone(r.options)
	if r.Trust { // it lifts ceilings, and what is fixed can be changed
		r.ceilings = nil
		for i := range r.presets {
			r.presets[i].Fixed = false
		}
	}
	for _, p := range r.ceilings.presets() {
		if !slices.ContainsFunc(r.options, func(o message.Preset) bool { return o.Option == p.Option || slices.Contains(p.Unless, o.Option) }) {
			r.presets = append(r.presets, p)
		}
	}
}

// containers reads Containers: "own", "user", "any", or "label NAME[=VALUE]".
func (d *decoder) containers(r *Rules, m node) {
	text := d.text(m)
	label, ok := strings.CutPrefix(text, "label ")
	switch {
	case text == "own":
		r.containers = ""
	case text == anyContainer, text == ofUser:
		r.containers = text
	case ok && label != "" && label[0] != '=':
		r.containers = label
	default:
		d.fail(m, fmt.Errorf("%s is none of \"own\", \"user\", \"any\" and \"label NAME=VALUE\"", flagval.Quote(text)))
	}
}

// lists reads Allow or Deny.
func (d *decoder) lists(to *map[string][]pattern, n node, deny bool) {
	for _, m := range d.members(n) {
		if !slices.Contains(keyNames(), m.name) {
			d.unknown(m, keyNames())
			return
		}
		if *to == nil {
			*to = make(map[string][]pattern)
		}
		(*to)[m.name] = d.patterns(m, deny)
	}
}

// ceilings reads Max. null takes a ceiling off.
func (d *decoder) ceilings(r *Rules, n node) {
	var names []string
	for _, l := range limits {
		names = append(names, l.name)
	}
	c := make(ceilings)
	maps.Copy(c, r.ceilings) // those for all
	r.ceilings = c
	for _, m := range d.members(n) {
		i := slices.Index(names, m.name)
		if i < 0 {
			d.unknown(m, names)
			return
		}
		text := string(m.raw)
		if text == "null" {
			delete(c, m.name)
			continue
		}
		if !strings.ContainsRune("-0123456789", rune(text[0])) {
			text = d.text(m)
		}
		most, err := limits[i].read(text)
		d.fail(m, err)
		c[m.name] = ceiling{text, most}
	}
}

// presets reads Default or Fixed, which have options of run.
func (d *decoder) presets(r *Rules, n node, set map[string]bool, fixed bool) {
	for _, m := range d.members(n) {
		if set[m.name] {
			d.fail(m, errors.New("both in Default and in Fixed"))
		}
		set[m.name] = true
		p := message.Preset{Option: m.name, Value: m.raw, Fixed: fixed}
		d.fail(node{at: m.at}, p.Check())
		r.options = append(slices.DeleteFunc(r.options, func(o message.Preset) bool { return o.Option == m.name }), p)
	}
}
