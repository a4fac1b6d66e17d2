package slots

import "testing"

// BenchmarkSlots measures what a place costs while 10,000 jobs wait for one.
func BenchmarkSlots(b *testing.B) {
	s := New(1)
	b.ReportAllocs()
	at := []*Place{s.Request()}
	for range 10_000 {
		at = append(at, s.Request())
	}
	for b.Loop() {
		at[0].Release()
		at = append(at[1:], s.Request())
	}
}
