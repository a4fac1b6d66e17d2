package amqpsrc

import "sync"

// moves joins the copies of forwarded messages to their notes, by token. A note that comes before its copy is settled stays
// unacked until then. So a process that is redelivered the copy is redelivered the note too.
type moves struct {
	mu    sync.Mutex
	known map[string]*move // guarded by mu, as all below
	idle  []string         // tokens of moves without an unsettled copy, oldest first; some are forgotten, or have a copy again
}

// mostIdle is how many moves wait for the note of a settled copy, or for the copy of a note.
const mostIdle = 10_000

// A move is one message that was forwarded to this host.
type move struct {
	acked   chan struct{} // closed once the note has come: the original is acked
	came    bool          // the note has come
	settled bool          // a copy is settled, and not only requeued
	copies  int           // that are not settled
	session *session      // of the copies and of note
	note    *delivery     // not acked; nil: none
}

// of returns the move of a token. m.mu is held.
func (m *moves) of(token string, s *session) *move {
	v := m.known[token]
	if v == nil {
		if m.known == nil {
			m.known = make(map[string]*move)
		}
		v = &move{acked: make(chan struct{})}
		m.known[token] = v
	}
	v.session = s
	return v
}

// copyCame records that a copy has come, and returns a channel that is closed once its original is acked.
func (m *moves) copyCame(token string, s *session) (acked <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.of(token, s)
	v.copies++
	return v.acked
}

// noteCame records that a note has come, and reports whether to ack it at once.
func (m *moves) noteCame(token string, note *delivery) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.of(token, note.sess)
	if !v.came {
		v.came = true
		close(v.acked)
	}
	switch {
	case v.copies > 0 && v.note == nil:
		v.note = note
		return false
	case v.copies == 0 && v.settled:
		delete(m.known, token)
	case v.copies == 0:
		m.rest(token) // old brokers may deliver a requeued copy after its note
	}
	return true
}

// copyOver records that a copy is settled, or only requeued. It returns the note that is to be acked, if any.
func (m *moves) copyOver(token string, s *session, requeued bool) *delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.known[token]
	if v == nil || v.session != s {
		return nil
	}
	v.copies--
	v.settled = v.settled || !requeued
	switch {
	case v.copies > 0:
		return nil
	case !v.came || requeued:
		m.rest(token)
		return nil
	}
	delete(m.known, token)
	return v.note
}

// lost records that a session has ended: its copies and notes are redelivered.
func (m *moves) lost(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for token, v := range m.known {
		if v.session == s {
			if v.copies > 0 {
				m.rest(token)
			}
			v.session, v.copies, v.note = nil, 0, nil
		}
	}
}

// rest records that a move has no unsettled copy, and forgets the oldest such moves if they are too many. Their notes stay
// unacked until the session ends. m.mu is held.
func (m *moves) rest(token string) {
	m.idle = append(m.idle, token)
	for len(m.idle) > mostIdle {
		if v := m.known[m.idle[0]]; v != nil && v.copies == 0 {
			delete(m.known, m.idle[0])
		}
		m.idle[0], m.idle = "", m.idle[1:]
	}
}
