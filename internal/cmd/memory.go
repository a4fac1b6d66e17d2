package cmd

import (
	"crypto/sha256"
	"slices"
	"time"
)

// recent is how long a memory keeps an entry: a settled job, for deliveries that were under way, or a cancel.
const recent = time.Hour

// A memory keeps what publishers' messages leave, for an hour and within bounds: the oldest entry is forgotten first. Its
// keys are digests: long names take no more room than short ones. newMemory makes one; its owner guards it.
type memory[V any] struct {
	most   int // entries
	weight int // the most that all values may weigh together
	byKey  map[memoryKey]*memoryEntry[V]
	order  []*memoryEntry[V] // oldest first; dropped entries still have their places
	held   int               // the weight of all values
}

type memoryKey [sha256.Size]byte

type memoryEntry[V any] struct {
	key    memoryKey
	value  V
	weight int
	at     time.Time
}

func newMemory[V any](most, weight int) memory[V] {
	return memory[V]{most: most, weight: weight, byKey: make(map[memoryKey]*memoryEntry[V])}
}

// keyOf returns the key of something that text identifies.
func keyOf(text string) memoryKey { return sha256.Sum256([]byte(text)) }

// put remembers a value from now on, and forgets the oldest entries that are out of time or bounds.
func (m *memory[V]) put(k memoryKey, value V, weight int) {
	m.drop(k)
	e := &memoryEntry[V]{k, value, weight, time.Now()}
	m.byKey[k] = e
	m.held += weight
	m.order = append(m.order, e)
	dropped := func(e *memoryEntry[V]) bool { return m.byKey[e.key] != e }
	for len(m.order) > 0 {
		oldest := m.order[0]
		if !dropped(oldest) {
			if len(m.byKey) <= m.most && m.held <= m.weight && e.at.Sub(oldest.at) < recent {
				break
			}
			m.drop(oldest.key)
		}
		m.order[0], m.order = nil, m.order[1:]
	}
	// Places of dropped entries pile up if the oldest entry stays for long.
	if len(m.order) > 2*len(m.byKey)+16 {
		m.order = slices.DeleteFunc(m.order, dropped)
	}
}

func (m *memory[V]) get(k memoryKey) (value V, ok bool) {
	e, ok := m.byKey[k]
	if !ok || time.Since(e.at) >= recent {
		return value, false
	}
	return e.value, true
}

func (m *memory[V]) drop(k memoryKey) {
	if e, ok := m.byKey[k]; ok {
		m.held -= e.weight
		delete(m.byKey, k)
		e.value = *new(V) // the place may stay for long
	}
}
