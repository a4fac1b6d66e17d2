package cmd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestMemory: what is remembered is bounded by number, weight and time; the oldest goes first.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory[int](100, 1000)
		for i := range 10_000 {
			m.put(keyOf(fmt.Sprint(i)), i, 1)
			if i%3 == 0 {
				m.drop(keyOf(fmt.Sprint(i)))
			}
			if i%7 == 0 {
				m.put(keyOf("again"), i, 1)
			}
			if len(m.byKey) > 100 || m.held > 1000 || len(m.order) > 300 {
				t.Fatalf("%d entries, %d places, weight %d", len(m.byKey), len(m.order), m.held)
			}
		}
		if v, ok := m.get(keyOf("9998")); !ok || v != 9998 {
			t.Error("the newest is forgotten")
		}
		if v, ok := m.get(keyOf("again")); !ok || v != 9996 {
			t.Errorf("what was put again is %d, %v", v, ok)
		}
		m.put(keyOf("heavy"), 1, 950)
		if _, ok := m.get(keyOf("heavy")); !ok || m.held > 1000 || len(m.byKey) < 40 {
			t.Errorf("%d entries, weight %d", len(m.byKey), m.held)
		}
		m.put(keyOf("too heavy"), 1, 1001)
		if len(m.byKey) != 0 || m.held != 0 {
			t.Errorf("%d entries, weight %d", len(m.byKey), m.held)
		}
		m.put(keyOf("old"), 1, 1)
		time.Sleep(recent)
		if _, ok := m.get(keyOf("old")); ok {
			t.Error("it is remembered after an hour")
		}
		m.put(keyOf("new"), 1, 1)
		if len(m.byKey) != 1 || len(m.order) != 1 {
			t.Errorf("%d entries, %d places", len(m.byKey), len(m.order))
		}
	})
}

// TestSettledJobsAreBounded: messages with long ids and names, whose senders ask for answers, leave no more behind than
// there is room for; the latest are known.
func TestSettledJobsAreBounded(t *testing.T) {
	g := newRegistry()
	long := strings.Repeat("x", 255)
	settle := func(i int) identity {
		ident := identify(intake.Job{Queue: "q", MessageID: fmt.Sprint(i, long)[:255], Body: []byte(fmt.Sprint(i))})
		task := &task{identity: ident, outbox: outbox{told: map[string]bool{long: true}}, phase: phaseEnded}
		g.remember(task, intake.Ack, &event.Result{Job: ident.id, ContainerName: long, Error: strings.Repeat("e", 1000), Stdout: long})
		return ident
	}
	var last identity
	for i := range 50_000 {
		last = settle(i)
	}
	if g.results.held > resultBytes || len(g.done.byKey) > mostSettled || len(g.settled.byKey) > mostSettled {
		t.Errorf("%d are remembered, with %d bytes", len(g.done.byKey), g.results.held)
	}
	if k, _, _ := g.recognise(last, intake.Job{}); k != finished || !g.knew("q", last.id) {
		t.Error("the last one is not known")
	}
	for i := range 2 * mostCancels {
		g.cancel(fmt.Sprint(i), 1)
	}
	if len(g.cancels.byKey) != mostCancels || !g.cancelled(identity{id: fmt.Sprint(2*mostCancels - 1), attempt: 1}) {
		t.Errorf("%d cancels are remembered", len(g.cancels.byKey))
	}
}
