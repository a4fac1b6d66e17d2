package cmd

import (
	"crypto/sha256"
	"time"
)

// recent is how long a memory keeps an entry: a settled job, for deliveries that were under way, or a cancel.
const recent = time.Hour

// A memory keeps what publishers' messages leave, for an hour and within bounds: the oldest entry is forgotten first. Its
// keys are digests: long names take no more room than short ones. newMemory makes one; its owner guards it.
type memory[V any] struct {
	most   int // entries
	weight int // the most that all values may weigh together
	byKey  map[memoryKey]memoryEntry[V]
	order  []memoryPlace // oldest first; dropped entries still have their places
	held   int           // the weight of all values
	serial int64
}

type memoryKey [sha256.Size]byte

type memoryEntry[V any] struct {
	value  V
	weight int
	at     time.Time
	serial int64
}

type memoryPlace struct {
	key    memoryKey
	serial int64 // of the place's entry: the key may have a later entry
}

func newMemory[V any](most, weight int) memory[V] {
	return memory[V]{most: most, weight: weight, byKey: make(map[memoryKey]memoryEntry[V])}
}

// keyOf returns the key of something that text identifies.
func keyOf(text string) memoryKey { return sha256.Sum256([]byte(text)) }

// put remembers a value from now on, and forgets the oldest entries that are out of time or bounds.
func (m *memory[V]) put(k memoryKey, value V, weight int) {
	now := time.Now()
	m.drop(k)
	m.serial++
	m.byKey[k] = memoryEntry[V]{value, weight, now, m.serial}
	m.held += weight
	m.order = append(m.order, memoryPlace{k, m.serial})
	for len(m.order) > 0 {
		p := m.order[0]
		e, ok := m.byKey[p.key]
		if ok = ok && e.serial == p.serial; ok && len(m.byKey) <= m.most && m.held <= m.weight && now.Sub(e.at) < recent {
			break
		}
		m.order = m.order[1:]
		if ok {
			m.drop(p.key)
		}
	}
	// Places of dropped entries pile up if the oldest entry stays for long.
	if len(m.order) > 2*len(m.byKey)+16 {
		var live []memoryPlace
		for _, p := range m.order {
			if e, ok := m.byKey[p.key]; ok && e.serial == p.serial {
				live = append(live, p)
			}
		}
		m.order = live
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
	}
}
