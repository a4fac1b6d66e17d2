package amqpsrc

import (
	"fmt"
	"strings"
	"testing"
)

// TestMoves: what becomes of a copy and its note, in every order in which they can come.
//
//	c  a copy comes             r  a copy is requeued
//	s  a copy is settled        x  the session ends
//	n  a note comes, stays unacked
//	N  a note comes, acked at once
//	S  a copy is settled, and the note with it
func TestMoves(t *testing.T) {
	for _, tt := range []struct {
		what, events string
		left         int  // moves that are known in the end
		acked        bool // the last copy's original is known to be acked
	}{
		{"a run", "cnS", 0, true},
		{"a command that is done before its note comes", "csN", 0, true},
		{"a note that never comes", "cs", 1, false},
		{"two copies, because a confirm was lost", "ccnsS", 0, true},
		{"two notes, because a confirm was lost", "cnNS", 0, true},
		{"two notes after the copy", "csNN", 1, true},
		{"a note that is delivered before its copy", "Ncs", 0, true},
		{"requeued", "crcnS", 0, true},
		{"requeued, with its note", "cnrcS", 0, true},
		{"the session ends before the note comes", "cxcnS", 0, true},
		{"the session ends, and both are redelivered", "cnxcnS", 0, true},
		{"the session ends, and the note is redelivered first", "cnxNcs", 0, true},
		{"the session ends after the copy is settled", "csxN", 0, true},
		{"the session ends, and a settled copy is redelivered", "csxcnS", 0, true},
		{"of an old session", "cxs", 1, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var m moves
			s := new(session)
			copies := []*session{}
			var acked <-chan struct{}
			got := ""
			for _, event := range tt.events {
				switch e := string(event); e {
				case "c":
					acked = m.copyCame("token", s)
					copies = append(copies, s)
					got += e
				case "s", "S", "r":
					of := copies[0]
					copies = copies[1:]
					switch note := m.copyOver("token", of, e == "r"); {
					case e == "r" && note == nil:
						got += e
					case note != nil:
						got += "S"
					default:
						got += "s"
					}
				case "n", "N":
					if m.noteCame("token", &delivery{sess: s}) {
						got += "N"
					} else {
						got += "n"
					}
				case "x":
					m.lost(s)
					s = new(session)
					if strings.HasSuffix(tt.events, "xs") {
						got += e
						continue
					}
					copies = nil
					got += e
				}
			}
			if got != tt.events {
				t.Errorf("got %s, want %s", got, tt.events)
			}
			if len(m.known) != tt.left {
				t.Errorf("%d moves are known, want %d", len(m.known), tt.left)
			}
			select {
			case <-acked:
				if !tt.acked {
					t.Error("the original counts as acked")
				}
			default:
				if tt.acked {
					t.Error("the original does not count as acked")
				}
			}
		})
	}
}

// TestMovesBounded: strangers' tokens are forgotten, the oldest first, but never that of an unsettled copy.
func TestMovesBounded(t *testing.T) {
	var m moves
	s := new(session)
	m.copyCame("held", s)
	m.noteCame("held", &delivery{sess: s})
	m.copyCame("settled", s)
	m.copyOver("settled", s, false)
	for i := range 3 * mostIdle {
		if !m.noteCame(fmt.Sprint("stranger ", i), &delivery{sess: s}) {
			t.Fatal("a stranger's note is held")
		}
		m.copyOver(fmt.Sprint("never came ", i), s, false)
		if len(m.known) > mostIdle+1 || len(m.idle) > mostIdle {
			t.Fatalf("%d moves are known, %d idle", len(m.known), len(m.idle))
		}
	}
	if m.known["settled"] != nil {
		t.Error("the oldest is not forgotten")
	}
	if m.copyOver("held", s, false) == nil {
		t.Error("the note of an unsettled copy is forgotten")
	}
	for i := range 10 { // sessions without end
		old := new(session)
		for n := range mostIdle {
			m.copyCame(fmt.Sprint("lost ", i, n), old)
		}
		m.lost(old)
	}
	if len(m.known) > mostIdle {
		t.Errorf("%d moves are known after their sessions", len(m.known))
	}
}
