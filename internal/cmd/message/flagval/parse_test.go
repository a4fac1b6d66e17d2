package flagval

import (
	"reflect"
	"testing"
)

// taken is a value and what is read from it; refused one with the reason.
type (
	taken[T any] struct {
		value string
		want  T
	}
	refused struct{ value, reason string }
)

// testParse holds a parser against its tables. Which values the docker CLI takes was seen with
// version 28.2.2 and what it sent for them; where ours differs, the row says so.
func testParse[T any](t *testing.T, parse func(string) (T, error), good []taken[T], bad []refused) {
	t.Helper()
	for _, tt := range good {
		got, err := parse(tt.value)
		if err != nil {
			t.Errorf("%q: %v", tt.value, err)
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", tt.value, got, tt.want)
		}
	}
	for _, tt := range bad {
		got, err := parse(tt.value)
		if err == nil {
			t.Errorf("%q: got %+v, want it refused", tt.value, got)
		} else if err.Error() != tt.reason {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.value, err, tt.reason)
		}
	}
}

// testCheck is testParse for a check that reads nothing.
func testCheck(t *testing.T, check func(string) error, good []string, bad []refused) {
	t.Helper()
	rows := make([]taken[bool], len(good))
	for i, value := range good {
		rows[i] = taken[bool]{value, true}
	}
	testParse(t, func(s string) (bool, error) { return true, check(s) }, rows, bad)
}
