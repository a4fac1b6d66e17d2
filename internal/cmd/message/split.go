package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// The functions here take JSON that CheckJSON has accepted, and copy nothing: a value is a part of the message's body.

// A member is one key of a JSON object with its value, undecoded.
type member struct {
	key     string
	value   json.RawMessage // without space around it
	members []member        // replaces value if it is not nil: the members of an object
}

// object returns the members of the value, which must be an object.
func (m member) object() ([]member, error) {
	if m.members != nil {
		return m.members, nil
	}
	return object(m.value)
}

// object splits a JSON object into its members, in order, and refuses duplicate keys. encoding/json alone would ignore the
// case of keys, and let the last of two equal keys win.
func object(raw json.RawMessage) ([]member, error) {
	if k := kind(raw); k != "an object" {
		return nil, fmt.Errorf("expected an object, got %s", k)
	}
	members := make([]member, 0, 8)
	for at := afterSpace(raw, bytes.IndexByte(raw, '{')+1); raw[at] != '}'; {
		end := valueEnd(raw, at)
		key, err := unquote(raw[at:end])
		if err != nil {
			return nil, err
		}
		at = afterSpace(raw, afterSpace(raw, end)+1) // the colon is between
		end = valueEnd(raw, at)
		members = append(members, member{key: key, value: raw[at:end]})
		at = nextItem(raw, end)
	}
	if key, ok := duplicate(members); ok {
		return nil, fmt.Errorf("duplicate key %s", flagval.Quote(key))
	}
	return members, nil
}

// array splits a JSON array into its items.
func array(raw json.RawMessage) (items []json.RawMessage) {
	for at := afterSpace(raw, bytes.IndexByte(raw, '[')+1); raw[at] != ']'; {
		end := valueEnd(raw, at)
		items = append(items, raw[at:end])
		at = nextItem(raw, end)
	}
	return items
}

// duplicate returns the first key that stands in members a second time.
func duplicate(members []member) (key string, ok bool) {
	if len(members) <= 32 { // for so few a map costs more
		for i, m := range members {
			if slices.ContainsFunc(members[:i], func(o member) bool { return o.key == m.key }) {
				return m.key, true
			}
		}
		return "", false
	}
	seen := make(map[string]struct{}, len(members))
	for _, m := range members {
		if _, ok := seen[m.key]; ok {
			return m.key, true
		}
		seen[m.key] = struct{}{}
	}
	return "", false
}

// valueEnd returns where the value that begins at the byte at ends.
func valueEnd(raw []byte, at int) int {
	depth := 0
	for ; ; at++ {
		switch raw[at] {
		case '"':
			for at++; raw[at] != '"'; at++ {
				if raw[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for at < len(raw) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(raw[at])) { // a number, or a word
				at++
			}
			return at
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// nextItem returns where the next item of a list begins, or the bracket that ends the list. end is where an item ends.
func nextItem(raw []byte, end int) int {
	at := afterSpace(raw, end)
	if raw[at] == ',' {
		at = afterSpace(raw, at+1)
	}
	return at
}

// afterSpace returns the index of the first byte from at on that is no space.
func afterSpace(raw []byte, at int) int {
	for raw[at] == ' ' || raw[at] == '\t' || raw[at] == '\r' || raw[at] == '\n' {
		at++
	}
	return at
}

// unquote returns the text of a JSON string.
func unquote(raw json.RawMessage) (string, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}
