package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxArg is the longest single argument or environment string that Linux gives to a program, in
// bytes (MAX_ARG_STRLEN less the NUL). A longer one is taken by the engine, and fails in the container.
const maxArg = 131071

// maxName is the longest name of a container that is taken. The engine has no limit, but each line
// of output carries the name.
const maxName = 255

// kind names the type of a valid JSON value as a person would.
func kind(raw json.RawMessage) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func wrongKind(want string, raw json.RawMessage) error {
	return fmt.Errorf("expected %s, got %s", want, kind(raw))
}

func decodeString(to *string, raw json.RawMessage) error {
	if kind(raw) != "a string" {
		return wrongKind("a string", raw)
	}
	return json.Unmarshal(raw, to)
}

func decodeBool(to *bool, raw json.RawMessage) error {
	if kind(raw) != "a boolean" {
		return wrongKind("true or false", raw)
	}
	return json.Unmarshal(raw, to)
}

// decodeSeconds reads a whole number of seconds, 0 or more.
func decodeSeconds(to **int, raw json.RawMessage) error {
	if kind(raw) != "a number" {
		return wrongKind("a whole number of seconds", raw)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 || n > math.MaxInt32 {
		return fmt.Errorf("expected a whole number of seconds from 0 to %d, got %s", math.MaxInt32, quote(string(raw)))
	}
	*to = &n
	return nil
}

// decodeStrings reads an array of strings. It is never nil, so that an empty one can be told
// from one that is not there.
func decodeStrings(to *[]string, raw json.RawMessage) error {
	if kind(raw) != "an array" {
		return wrongKind("an array of strings", raw)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	*to = make([]string, len(items))
	for i, item := range items {
		if err := decodeString(&(*to)[i], item); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// decodeList reads an array of strings, or one string as a list of one.
func decodeList(to *[]string, raw json.RawMessage) error {
	switch kind(raw) {
	case "a string":
		*to = make([]string, 1)
		return decodeString(&(*to)[0], raw)
	case "an array":
		return decodeStrings(to, raw)
	}
	return wrongKind("a string or an array of strings", raw)
}

// checkArgs refuses arguments that no program can be given.
func checkArgs(args []string) error {
	for i, a := range args {
		if len(a) > maxArg {
			return fmt.Errorf("item %d has %d bytes; Linux gives a program at most %d in one argument", i+1, len(a), maxArg)
		}
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("item %d holds a NUL byte, which no argument can", i+1)
		}
	}
	return nil
}

// checkName refuses what the engine would not take as the name of a container
// (moby daemon/names: two characters at least).
func checkName(name string) error {
	if err := checkRef(name); err != nil {
		return err
	}
	if len(name) < 2 {
		return fmt.Errorf("%s is too short; a container's name has at least two characters", quote(name))
	}
	return nil
}

// checkOwnName is checkName for a name that a message chooses.
func checkOwnName(name string) error {
	if strings.HasPrefix(name, derivedName) {
		return fmt.Errorf("a name that begins with %s is one that the daemon gives; choose another, or leave it out", derivedName)
	}
	return checkName(name)
}

// checkRef refuses what can be neither a container's name nor its id.
func checkRef(ref string) error {
	if ref == "" {
		return errors.New("expected a container's name, got an empty string")
	}
	if len(ref) > maxName {
		return fmt.Errorf("%s has %d characters; at most %d are taken", quote(ref), len(ref), maxName)
	}
	for i, c := range []byte(ref) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return fmt.Errorf("%s is not a container's name; it has letters, digits, and behind the first also _ . -", quote(ref))
		}
	}
	return nil
}

// quote is %q with a bound, for text that a stranger wrote.
func quote(s string) string {
	const limit = 60
	if len(s) <= limit {
		return strconv.Quote(s)
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}

// list joins names as in a sentence: "a", "b" or "c".
func list(names []string, last string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" " + last + " ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(n))
	}
	return b.String()
}

// Nearest returns the known name that was most likely meant by name, or "". Case does not count.
func Nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	for _, k := range known {
		if best == "" && len(name) >= 3 && strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)) {
			best = k
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b
// (optimal string alignment).
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
