package flagval

import "strings"

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
