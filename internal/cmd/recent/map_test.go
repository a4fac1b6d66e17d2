package recent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestMap: what is remembered is bounded by number, weight and time; the oldest goes first.
func TestMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMap[int](100, 1000)
		for i := range 10_000 {
			m.Put(KeyOf(fmt.Sprint(i)), i, 1)
			if i%3 == 0 {
				m.Drop(KeyOf(fmt.Sprint(i)))
			}
			if i%7 == 0 {
				m.Put(KeyOf("again"), i, 1)
			}
			if len(m.byKey) > 100 || m.held > 1000 || len(m.order) > 300 {
				t.Fatalf("%d entries, %d places, weight %d", len(m.byKey), len(m.order), m.held)
			}
		}
		if v, ok := m.Get(KeyOf("9998")); !ok || v != 9998 {
			t.Error("the newest is forgotten")
		}
		if v, ok := m.Get(KeyOf("again")); !ok || v != 9996 {
			t.Errorf("what was put again is %d, %v", v, ok)
		}
		m.Put(KeyOf("heavy"), 1, 950)
		if _, ok := m.Get(KeyOf("heavy")); !ok || m.held > 1000 || len(m.byKey) < 40 {
			t.Errorf("%d entries, weight %d", len(m.byKey), m.held)
		}
		m.Put(KeyOf("too heavy"), 1, 1001)
		if len(m.byKey) != 0 || m.held != 0 {
			t.Errorf("%d entries, weight %d", len(m.byKey), m.held)
		}
		m.Put(KeyOf("old"), 1, 1)
		time.Sleep(For)
		if _, ok := m.Get(KeyOf("old")); ok {
			t.Error("it is remembered after an hour")
		}
		m.Put(KeyOf("new"), 1, 1)
		if len(m.byKey) != 1 || len(m.order) != 1 {
			t.Errorf("%d entries, %d places", len(m.byKey), len(m.order))
		}
	})
}

// TestDropLetsGo: what is dropped is not held in memory by its place.
func TestDropLetsGo(t *testing.T) {
	m := NewMap[*int](10, 10)
	m.Put(KeyOf("oldest"), new(1), 1)
	m.Put(KeyOf("dropped"), new(2), 1)
	m.Drop(KeyOf("dropped"))
	if len(m.order) != 2 || m.order[1].value != nil {
		t.Error("the place has the value")
	}
}
