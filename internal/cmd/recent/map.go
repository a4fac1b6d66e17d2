// Package recent remembers values for an hour, within bounds.
package recent

import (
	"crypto/sha256"
	"slices"
	"time"
)

// For is how long a Map keeps an entry.
const For = time.Hour

// A Map keeps what publishers' messages leave. If it is full, it forgets the oldest entry first. NewMap makes one; its owner
// guards it.
type Map[V any] struct {
	most   int // entries
	weight int // the most that all values may weigh together
	byKey  map[Key]*entry[V]
	order  []*entry[V] // oldest first; dropped entries still have their places
	held   int         // the weight of all values
}

// A Key is a digest: long names take no more room than short ones.
type Key [sha256.Size]byte

type entry[V any] struct {
	key    Key
	value  V
	weight int
	at     time.Time
}

// NewMap returns a Map of at most that many entries, whose values together weigh at most that much.
func NewMap[V any](most, weight int) Map[V] {
	return Map[V]{most: most, weight: weight, byKey: make(map[Key]*entry[V])}
}

// KeyOf returns the key of something that text identifies.
func KeyOf(text string) Key { return sha256.Sum256([]byte(text)) }

// Put remembers a value from now on, and forgets the oldest entries that are out of time or bounds.
func (m *Map[V]) Put(k Key, value V, weight int) {
	m.Drop(k)
	e := &entry[V]{k, value, weight, time.Now()}
	m.byKey[k] = e
	m.held += weight
	m.order = append(m.order, e)
	dropped := func(e *entry[V]) bool { return m.byKey[e.key] != e }
	for len(m.order) > 0 {
		oldest := m.order[0]
		if !dropped(oldest) {
			if len(m.byKey) <= m.most && m.held <= m.weight && e.at.Sub(oldest.at) < For {
				break
			}
			m.Drop(oldest.key)
		}
		m.order[0], m.order = nil, m.order[1:]
	}
	// Places of dropped entries pile up if the oldest entry stays for long.
	if len(m.order) > 2*len(m.byKey)+16 {
		m.order = slices.DeleteFunc(m.order, dropped)
	}
}

// Get returns the value of a key, if it is remembered.
func (m *Map[V]) Get(k Key) (value V, ok bool) {
	e, ok := m.byKey[k]
	if !ok || time.Since(e.at) >= For {
		return value, false
	}
	return e.value, true
}

// Since returns since when a key is remembered.
func (m *Map[V]) Since(k Key) (at time.Time, ok bool) {
	if _, ok := m.Get(k); !ok {
		return at, false
	}
	return m.byKey[k].at, true
}

// Drop forgets a key.
func (m *Map[V]) Drop(k Key) {
	if e, ok := m.byKey[k]; ok {
		m.held -= e.weight
		delete(m.byKey, k)
		e.value = *new(V) // the place may stay for long
	}
}

// Size returns how many entries there are, and what their values weigh.
func (m *Map[V]) Size() (entries, weight int) { return len(m.byKey), m.held }
