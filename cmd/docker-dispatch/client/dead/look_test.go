package dead

import "testing"

// TestLookNext: lots grow, until the bodies of one would be too large to be in memory at a time.
func TestLookNext(t *testing.T) {
	for _, tt := range []struct {
		name           string
		letters, bytes int
		begun, failed  bool
		lot, want      int
	}{
		{"small letters", 16, 16 * 300, false, false, 16, 32},
		{"the most for a channel", 40000, 40000 * 300, false, false, 40000, mostLot},
		{"empty letters", 16, 0, false, false, mostLot, mostLot},
		{"renewed", 300, 300 * 300, true, false, 256, lotSize},
		{"no longer renewed", 300, 300 * 300, true, true, 256, 512},
		{"letters of 1 MiB", 48, 48 << 20, false, false, 32, 64},
		{"more of them", 112, 112 << 20, false, false, 64, 64},
		{"letters of 128 MiB", 16, 16 << 27, false, false, 16, 1},
		{"no letter came", 0, 0, false, false, 16, 32},
	} {
		l := &look{letters: tt.letters, bytes: tt.bytes, begun: tt.begun, failed: tt.failed}
		if got := l.next(tt.lot); got != tt.want {
			t.Errorf("%s: after %d letters the next lot has %d, want %d", tt.name, tt.lot, got, tt.want)
		}
	}
}
