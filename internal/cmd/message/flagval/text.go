package flagval

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxArg is the longest argument or environment string that Linux gives to a program, in bytes (MAX_ARG_STRLEN less the
// NUL). The engine accepts a longer one, but the program cannot start with it.
const maxArg = 131071

// maxName is the longest name of a container that is accepted, in bytes. The engine has no limit, but each line of output
// carries the name.
const maxName = 255

// CheckArgs refuses arguments that Linux cannot give to a program.
func CheckArgs(args []string) error {
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

// CheckRef refuses a text that can be neither a container's name nor its id.
func CheckRef(ref string) error {
	if ref == "" {
		return errors.New("expected a container's name, got an empty string")
	}
	if len(ref) > maxName {
		return fmt.Errorf("%s has %d characters; at most %d are taken", Quote(ref), len(ref), maxName)
	}
	if !framed(ref, alnum, word+".-", word+".-") {
		return fmt.Errorf("%s is not a container's name; it has letters, digits, and behind the first also _ . -", Quote(ref))
	}
	return nil
}

// Quote quotes a publisher's text as %q does, cut after limit bytes.
func Quote(s string) string {
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

// List joins names as in a sentence: "a", "b" or "c".
func List(names []string, last string) string {
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

// Nearest returns the known name that was most likely meant by name, or "". It ignores case.
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

// Unknown returns the error for a name that is none of the known ones. kind says what it names.
func Unknown(kind, name string, known []string) error {
	return unknown(fmt.Sprintf("unknown %s %s", kind, Quote(name)), name, known)
}

func unknown(what, name string, known []string) error {
	if near := Nearest(name, known); near != "" {
		return fmt.Errorf("%s; did you mean %q?", what, near)
	}
	return fmt.Errorf("%s; expected %s", what, List(known, "or"))
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

// CheckName refuses a text that the engine would not accept as a container's name (moby daemon/names: two characters at
// least).
func CheckName(name string) error {
	if err := CheckRef(name); err != nil {
		return err
	}
	if len(name) < 2 {
		return fmt.Errorf("%s is too short; a container's name has at least two characters", Quote(name))
	}
	return nil
}

// NotNil returns s, or an empty slice in place of nil: JSON tells them apart.
func NotNil[E any](s []E) []E {
	if s == nil {
		return []E{}
	}
	return s
}

// Made returns what p points to, and makes it first if that is nothing.
func Made[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// Each calls f with each text until one fails. If there are several texts, the error says which.
func Each(texts []string, f func(string) error) error {
	for i, s := range texts {
		if err := f(s); err != nil {
			if len(texts) > 1 {
				err = fmt.Errorf("item %d: %w", i+1, err)
			}
			return err
		}
	}
	return nil
}

// The characters that names are made of.
const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnum   = letters + digits
	word    = alnum + "_"
)

// only reports whether s is not empty, and all its characters are in set, which is ASCII.
func only(s, set string) bool {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// framed reports whether all characters of s are in set, its first one also in first, and its last one also in last.
func framed(s, first, set, last string) bool {
	return only(s, set) && only(s[:1], first) && only(s[len(s)-1:], last)
}

// isHost reports whether s is a name of letters, digits and hyphens between dots.
func isHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !framed(label, alnum, alnum+"-", alnum) {
			return false
		}
	}
	return true
}
