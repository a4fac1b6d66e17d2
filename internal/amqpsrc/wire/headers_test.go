package wire

import "testing"

func TestClip(t *testing.T) {
	for _, tt := range []struct{ in, want string }{{"abc", "abc"}, {"abcdefgh", "abcdefgh"}, {"abcdefghi", "abcde..."}, {"abcdéfghi", "abcd..."}, {"a\xff", "a\uFFFD"}, {"", ""}} {
		if got := Clip(tt.in, 8); got != tt.want {
			t.Errorf("clip(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
