// Package layers adds up how far a pull is.
package layers

import (
	"strings"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// An engine may name any number of layers, by any text, and with any size. An image of Docker has at most 127 layers. Layers
// over mostLayers, or with a longer id, are not counted. The sum of mostLayers sizes does not overflow.
const (
	mostLayers    = 256
	mostLayerID   = 80 // sha256:, 64 hex digits
	mostLayerSize = 1 << 50
)

// Layers adds up what the engine says of the layers of a pull. The zero value has none.
type Layers struct {
	mu       sync.Mutex
	byID     map[string]layer
	sum      event.Progress
	upToDate bool // the engine says that it had the image already
}

type layer struct {
	complete     bool
	bytes, total int64 // downloaded, and to be downloaded; bytes is never more
}

// Step records a step of the pull. It ignores a status that it does not know.
func (l *Layers) Step(p dockerapi.PullProgress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.ID == "" {
		l.upToDate = l.upToDate || strings.HasPrefix(p.Status, "Status: Image is up to date")
		return
	}
	was, known := l.byID[p.ID]
	is := was
	switch p.Status {
	case "Pulling fs layer", "Waiting":
	case "Downloading":
		is.bytes = min(max(p.Current, 0), mostLayerSize)
		is.total = max(is.bytes, min(p.Total, mostLayerSize))
	case "Verifying Checksum", "Download complete", "Extracting": // the numbers of Extracting are seconds, or bytes again
		is.bytes = is.total
	case "Pull complete", "Already exists":
		is.bytes, is.complete = is.total, true
	default: // of the tag, or of a layer that is tried again
		return
	}
	if !known {
		if len(l.byID) == mostLayers || len(p.ID) > mostLayerID {
			return
		}
		l.sum.Layers++
	}
	if l.byID == nil {
		l.byID = make(map[string]layer)
	}
	l.byID[p.ID] = is
	if is.complete && !was.complete {
		l.sum.Complete++
	}
	l.sum.Bytes += is.bytes - was.bytes
	l.sum.Total += is.total - was.total
}

// Now returns the sums.
func (l *Layers) Now() event.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum
}

// Pulled returns the sums after the pull has succeeded: the engine has all layers, even those of which it did not say so.
func (l *Layers) Pulled() (event.PullStatus, event.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Complete, l.sum.Bytes = l.sum.Layers, l.sum.Total
	if l.upToDate {
		return event.UpToDate, l.sum
	}
	return event.Pulled, l.sum
}
