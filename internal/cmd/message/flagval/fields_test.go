package flagval

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// FuzzCSVFields: fields are those of a line of CSV, as the docker CLI reads it.
func FuzzCSVFields(f *testing.F) {
	for _, s := range []string{"a", "a,b", ",", " a, b ", `"a,b",c`, `a"b`, "a\r", "a\nb", "a\r\n", "#a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := csvFields(s)
		if err != nil {
			return
		}
		if want, err := csv.NewReader(strings.NewReader(s)).Read(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, as CSV %q, %v", s, got, want, err)
		}
	})
}
