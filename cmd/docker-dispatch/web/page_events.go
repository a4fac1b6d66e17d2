package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// every is the time between two looks at the daemon. All viewers share each.
	every = time.Second
	// writeTime is how long a client may take for an answer, or for a piece of a stream.
	writeTime = 10 * time.Second
)

// A snapshot is what the daemon was doing at one moment.
type snapshot struct {
	view     *view
	sections map[string]string // the parts of the page, by the id of their element
}

// latest keeps the last snapshot.
type latest struct {
	status func() status.Status
	mu     sync.Mutex
	made   time.Time
	last   snapshot
}

// get returns a snapshot that is not older than every.
func (l *latest) get() snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.made) < every-every/10 { // a viewer's clock ticks a little early at times
		return l.last
	}
	l.last = snapshot{view: &view{Status: l.status()}, sections: make(map[string]string)}
	for _, s := range l.last.view.withoutAges().sections() {
		l.last.sections[s.id] = written(s.write)
	}
	l.made = time.Now()
	return l.last
}

// An update is one event: what has changed since the one before.
type update struct {
	Version  string            // of the program: a page of another one loads itself again
	At       time.Time         // so the page knows that the daemon lives, and what its clock says
	Sections map[string]string `json:",omitempty"` // HTML
}

// events streams the sections of the page, or with ?id= those of a job's, each time that they have changed.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	done, ok := take(w, p.streams, "too many pages are shown: close one")
	if !ok {
		return
	}
	defer done()
	w.Header().Set("Content-Type", "text/event-stream")
	out := newStream(w)
	if r.Method == http.MethodHead {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	id, ofJob := r.URL.Query()["id"]
	sent := make(map[string]string)
	for {
		s := p.latest.get()
		if ofJob {
			s.sections = map[string]string{"job": written(s.view.withoutAges().of(id[0]).job)}
		}
		u := update{Version: s.view.Version, At: s.view.At, Sections: make(map[string]string)}
		for name, html := range s.sections {
			if html != sent[name] {
				u.Sections[name], sent[name] = html, html
			}
		}
		if out.event(u) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// take takes a place, which done gives back; without a free one it answers why.
func take(w http.ResponseWriter, places chan struct{}, why string) (done func(), ok bool) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, true
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, why, http.StatusServiceUnavailable)
		return nil, false
	}
}

// A stream is an answer without an end. A client that does not take a piece of it in writeTime is cut off.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) stream {
	return stream{w, http.NewResponseController(w)}
}

// extend gives the client its time for the next piece.
func (s stream) extend() { s.control.SetWriteDeadline(time.Now().Add(writeTime)) }

// Write sends a piece at once.
func (s stream) Write(data []byte) (int, error) {
	s.extend()
	n, err := s.ResponseWriter.Write(data)
	if err == nil {
		err = s.control.Flush()
	}
	return n, err
}

// event sends one event. JSON has no line breaks: no text of a stranger can end the event.
func (s stream) event(v any) error {
	var b bytes.Buffer
	b.WriteString("data: ")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := s.Write(b.Bytes())
	return err
}
